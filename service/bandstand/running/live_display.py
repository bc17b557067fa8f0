"""Shows running studies: a live table on a terminal, plain lines in a pipe.

Knows progress and how to draw it. Must not know how a study is run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from bandstand.errors import StudyNotFoundError
from bandstand.log_lines import line_about
from bandstand.report.text import counted
from bandstand.running.progress_table import best_words, budget_used, progress_view, trial_counts
from bandstand.store.records import EndedTrial, StudyProgress
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import TrialState

__all__ = ["Display", "LiveDisplay", "NoDisplay", "PlainDisplay", "find_progress", "make_display"]

_REFRESH_SECONDS = 0.5


class Display(Protocol):
    """Is told how studies go."""

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """The workers are being started."""
        ...

    def running(self, name: str, workers: int) -> None:
        """A study runs from now on."""
        ...

    def note(self, name: str, message: str) -> None:
        """Something about how a study runs, for people, say that it waits for resources."""
        ...

    def tick(self) -> bool:
        """Called a few times a second; tells whether it has asked the database, which it does less often."""
        ...

    def ended(self, name: str) -> None:
        """A study runs no longer."""
        ...

    def __enter__(self) -> object:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        ...


def make_display(store: Store) -> Display:
    """A live table where there is a terminal, plain lines elsewhere."""
    return LiveDisplay(store) if sys.stdout.isatty() else PlainDisplay(store)


def find_progress(store: Store, name: str) -> StudyProgress | None:
    """Where a study stands that is being run; None before it is in the database.

    It gets there when its workers have tried its model and its data: a mistake in them leaves nothing behind, so that
    whoever mends it has a name that is still free.
    """
    try:
        return store.progress(name)
    except StudyNotFoundError:
        return None


class _Pace:
    """Time since a study was taken up, and an estimate of what is left from the budget used meanwhile."""

    def __init__(self, used: float):
        self._began = time.monotonic()
        self._used_at_first = used

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def seconds_left(self, used: float) -> float | None:
        gained = used - self._used_at_first
        return None if gained < 0.02 or used >= 1 else self.seconds * (1 - used) / gained


class NoDisplay:
    """Shows nothing."""

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """As `Display.starting`."""

    def running(self, name: str, workers: int) -> None:
        """As `Display.running`."""

    def note(self, name: str, message: str) -> None:
        """As `Display.note`."""

    def tick(self) -> bool:
        """As `Display.tick`."""
        return False

    def ended(self, name: str) -> None:
        """As `Display.ended`."""

    def __enter__(self) -> NoDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class LiveDisplay(NoDisplay):
    """A table that is drawn anew twice a second; what a study ends with stays on the screen."""

    def __init__(self, store: Store, console: Console | None = None):
        self._store = store
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=True, refresh_per_second=4, transient=True)
        self._name: str | None = None
        self._pace: _Pace | None = None
        self._drawn_at = 0.0

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """As `Display.starting`."""
        names = ", ".join(spec.name for spec in specs)
        self._live.update(Text(f"{names}: starting Ray and the trainers, which import TensorFlow …", style="dim"))

    def running(self, name: str, workers: int) -> None:
        """As `Display.running`."""
        self._name = name
        self._drawn_at = 0.0
        self._pace = None
        self._live.update(Text(f"{name}: running on {counted(workers, 'worker')}", style="dim"))

    def note(self, name: str, message: str) -> None:
        """As `Display.note`; it stays on the screen, above the table."""
        self._console.print(Text(f"{name}: {message}", style="yellow"))

    def tick(self) -> bool:
        """As `Display.tick`."""
        if self._name is None or time.monotonic() - self._drawn_at < _REFRESH_SECONDS:
            return False
        self._drawn_at = time.monotonic()
        view = self._view()
        if view is not None:
            self._live.update(view)
        return True

    def _view(self) -> RenderableType | None:
        assert self._name is not None
        progress = find_progress(self._store, self._name)
        if progress is None:
            return None
        used = budget_used(progress)
        if self._pace is None:
            self._pace = _Pace(used)
        return progress_view(progress, seconds=self._pace.seconds, seconds_left=self._pace.seconds_left(used))

    def ended(self, name: str) -> None:
        """As `Display.ended`."""
        view = self._view()
        self._name = None
        self._live.update(Text(""))
        if view is not None:
            self._console.print(view)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class _Before(NamedTuple):
    """What a study had when its run began."""

    seq: int = 0
    """Of the last trial that had ended."""
    trials: int = 0
    """That had ended."""
    epochs: int = 0


class PlainDisplay(NoDisplay):
    """A line for each trial that ends, and for the study's own milestones, in the format that is chosen for logs."""

    def __init__(self, store: Store, stream: TextIO | None = None):
        self._store = store
        self._stream = stream or sys.stdout
        self._name: str | None = None
        self._before: dict[str, _Before] = {}
        self._seen = 0
        self._told: dict[str, int] = {}
        """By study, how many of its notices were said."""
        self._read_at = 0.0
        self._spec: StudySpec | None = None

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """As `Display.starting`. What has ended by now is not news; soon after, trials may."""
        self._say(", ".join(spec.name for spec in specs), "starting Ray and the trainers")
        self._before = {spec.name: self._look(spec.name) for spec in specs}

    def _look(self, name: str) -> _Before:
        progress = find_progress(self._store, name)
        if progress is None:
            return _Before()
        ended = self._store.ended_trials(name, 0)
        return _Before(ended[-1].seq if ended else 0, len(ended), progress.epochs)

    def running(self, name: str, workers: int) -> None:
        """As `Display.running`."""
        before = self._before.get(name, _Before())
        self._name, self._seen, self._spec = name, before.seq, None
        self._say(name, f"running on {counted(workers, 'worker')}")
        if before.epochs:
            self._say(name, f"continuing after {counted(before.trials, 'trial')}, {counted(before.epochs, 'epoch')}")

    def note(self, name: str, message: str) -> None:
        """As `Display.note`."""
        self._say(name, message)

    def tick(self) -> bool:
        """As `Display.tick`."""
        if self._name is None or time.monotonic() - self._read_at < _REFRESH_SECONDS:
            return False
        self._read_at = time.monotonic()
        self._catch_up()
        return True

    def _catch_up(self) -> None:
        assert self._name is not None
        progress = find_progress(self._store, self._name)
        if progress is None:
            return
        if self._spec is None:
            self._spec = progress.spec
        self._tell(self._name, progress.notices)
        for ended in self._store.ended_trials(self._name, self._seen):
            self._seen = ended.seq
            self._say(self._name, _line_from(ended, self._spec), trial=ended.number)

    def ended(self, name: str) -> None:
        """As `Display.ended`."""
        self._catch_up()
        self._name = None
        progress = self._store.progress(name)
        self._tell(name, progress.notices)
        self._say(
            name, f"{progress.state}: {progress.reason or 'it can be continued'}; trials: {trial_counts(progress)}"
        )
        self._say(name, best_words(progress))

    def _tell(self, name: str, notices: Sequence[str]) -> None:
        """Say what has not been said of the study yet."""
        for notice in notices[self._told.get(name, 0) :]:
            self._say(name, f"note: {notice}")
        self._told[name] = len(notices)

    def _say(self, name: str, message: str, trial: int | None = None) -> None:
        """`name` is the study's; a run of several studies begins with all their names."""
        message, text = (" ".join(words.split()) for words in (message, f"{name}: {message}"))
        print(line_about(message, logger=__name__, text=text, study=name, trial=trial), file=self._stream, flush=True)


def _line_from(ended: EndedTrial, spec: StudySpec) -> str:
    value = "" if ended.value is None else f", {spec.objective.metric} {ended.value:.4f}"
    as_usual = (ended.state, ended.reason) == (TrialState.COMPLETE, "max_epochs")
    reason = "the budget is used up" if ended.reason == "budget" else ended.reason
    why = "" if as_usual else f" ({ended.message or reason})"
    return f"trial {ended.number} {ended.state} after {counted(ended.epochs, 'epoch')}{value}{why}"
