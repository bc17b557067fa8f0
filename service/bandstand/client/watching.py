"""Shows a study's progress as a server tells it: live in a terminal, a line that is written over in a notebook, lines
in a pipe.

Knows progress and where it is shown. Must not know how it comes here.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bandstand.report.text import counted
from bandstand.running.progress_table import STATE_WORDS, budget_used, params_text, progress_view
from bandstand.store.records import StudyProgress
from bandstand.study.states import StudyState

__all__ = ["LineView", "PipeView", "TerminalView", "View", "is_notebook", "make_view", "progress_line"]

_STEP = 0.05
"""Of the budget, between two lines in a pipe."""


class View(Protocol):
    """Is told how a study stands."""

    def show(self, progress: StudyProgress) -> None:
        """It stands like this now."""
        ...

    def say(self, message: str) -> None:
        """Something that the user should know besides."""
        ...

    def __enter__(self) -> View:
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave everything as it should stay."""
        ...


def make_view(created_at: datetime, stream: TextIO | None = None) -> View:
    """What suits the place that standard output goes to.

    Args:
        created_at: when the study was made, from which its time counts.
        stream: another place.
    """
    stream = stream or sys.stdout
    if stream.isatty():
        return TerminalView(created_at, Console(file=stream))
    return LineView(stream) if is_notebook() else PipeView(stream)


def is_notebook() -> bool:
    """Whether a notebook's kernel runs this; what it shows is text, and takes a return to the line's beginning."""
    kernel = sys.modules.get("ipykernel.kernelapp")  # other programs import ipykernel, too
    return kernel is not None and bool(kernel.IPKernelApp.initialized())


def progress_line(progress: StudyProgress) -> str:
    """A study's progress in one line."""
    counts, best, objective = progress.counts, progress.best, progress.spec.objective
    trials = ", ".join(f"{counts[state]} {word}" for state, word in STATE_WORDS.items() if counts.get(state))
    parts = [
        f"{progress.spec.name}: {progress.state}",
        f"{budget_used(progress):.0%}",
        counted(progress.epochs, "epoch"),
        trials or "no trials yet",
    ]
    if best is not None:
        parts.append(f"best {objective.metric} {best.value:.4f} (trial {best.number}; {objective.better})")
    return ", ".join(parts)


def _last_words(progress: StudyProgress) -> list[str]:
    """What is said of a study that has ended."""
    reason = f" ({progress.reason})" if progress.reason else ""
    lines = [f"{progress_line(progress)}{reason}"]
    if progress.best is not None:
        lines.append(f"{progress.spec.name}: best params {params_text(progress.best.params)}")
    return lines


class TerminalView:
    """A table that is drawn anew; what it showed last stays on the screen."""

    def __init__(self, created_at: datetime, console: Console):
        self._created_at = created_at
        self._console = console
        self._progress: StudyProgress | None = None
        self._message: str | None = None
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=2, transient=True)

    def show(self, progress: StudyProgress) -> None:
        """As `View.show`."""
        self._progress, self._message = progress, None

    def say(self, message: str) -> None:
        """As `View.say`."""
        self._message = message

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._progress is None:
            parts.append(Text("waiting for the server …", style="dim"))
        else:
            seconds = (datetime.now(self._created_at.tzinfo) - self._created_at).total_seconds()
            over = StudyState(self._progress.state).has_ended
            seconds = self._progress.wall_seconds if over else seconds
            parts.append(progress_view(self._progress, seconds=max(0.0, seconds), seconds_left=None))
        if self._message:
            parts.append(Text(self._message, style="yellow"))
        return Group(*parts)

    def __enter__(self) -> TerminalView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        if self._progress is not None:
            self._console.print(self._draw())


class LineView:
    """One line, written over; what it showed last stays."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._width = 0
        self._progress: StudyProgress | None = None

    def show(self, progress: StudyProgress) -> None:
        """As `View.show`."""
        self._progress = progress
        self._write(progress_line(progress))

    def say(self, message: str) -> None:
        """As `View.say`."""
        self._write(message)

    def _write(self, line: str) -> None:
        print(f"\r{line:<{self._width}}", end="", file=self._stream, flush=True)
        self._width = len(line)

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            first, *others = _last_words(self._progress)
            self._write(first)
            for line in others:
                print(f"\n{line}", end="", file=self._stream)
        print(file=self._stream, flush=True)


class PipeView:
    """A line when the state changes, a trial is better than all before, or another part of the budget is spent."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._told: tuple[str, float | None, int] | None = None
        self._progress: StudyProgress | None = None
        self._said_at = 0.0

    def show(self, progress: StudyProgress) -> None:
        """As `View.show`."""
        self._progress = progress
        best = progress.best.value if progress.best else None
        told = (progress.state, best, int(budget_used(progress) / _STEP))
        if told != self._told:
            self._told = told
            self._print(progress_line(progress))

    def say(self, message: str) -> None:
        """As `View.say`; not more than once in ten seconds."""
        if time.monotonic() - self._said_at > 10 or not self._said_at:
            self._said_at = time.monotonic()
            self._print(message)

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def __enter__(self) -> PipeView:
        return self

    def __exit__(self, *_: object) -> None:
        for line in _last_words(self._progress)[1:] if self._progress else []:
            self._print(line)
