"""Shows a running comparison: which study of how many, and what those before it ended with.

Knows progress and how to draw it. Must not know what follows from the results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bandstand.running.live_display import Display, NoDisplay, find_progress
from bandstand.running.progress_table import budget_used, progress_view
from bandstand.store.store import Store
from bandstand.study.comparison_plan import PlannedStudy
from bandstand.study.study_spec import StudySpec

__all__ = ["make_comparison_display"]

_REFRESH_SECONDS = 0.5


def make_comparison_display(store: Store, planned: Sequence[PlannedStudy]) -> Display:
    """A live view where there is a terminal, a line per study elsewhere."""
    kind = _LiveComparison if sys.stdout.isatty() else _PlainComparison
    return kind(store, planned)


class _PlainComparison(NoDisplay):
    """A line for each study that ends."""

    def __init__(self, store: Store, planned: Sequence[PlannedStudy], console: Console | None = None):
        self._store = store
        self._place = {each.spec.name: number for number, each in enumerate(planned, 1)}
        self._total = len(planned)
        self._console = console or Console(soft_wrap=True)

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """As `Display.starting`."""
        done = self._total - len(specs)
        before = f", {done} of them already ended" if done else ""
        self._say(f"{self._total} studies{before}; starting Ray and the trainers (they import TensorFlow) …")

    def note(self, name: str, message: str) -> None:
        """As `Display.note`."""
        self._say(f"{self._place[name]}/{self._total}  {name}: {message}")

    def ended(self, name: str) -> None:
        """As `Display.ended`."""
        progress = self._store.progress(name)
        objective, best = progress.spec.objective, progress.best
        value = f"best {objective.metric} {best.value:.4f}" if best else "no value"
        why = f" ({progress.reason})" if progress.state == "failed" else ""
        trials = sum(progress.counts.values())
        self._say(
            f"{self._place[name]}/{self._total}  {name}: {progress.state}{why}, {value}; {trials} trials, "
            f"{progress.epochs} epochs, {progress.wall_seconds:.0f} s"
        )

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)


class _LiveComparison(_PlainComparison):
    """The same lines, and below them the study that runs."""

    def __init__(self, store: Store, planned: Sequence[PlannedStudy], console: Console | None = None):
        super().__init__(store, planned, console or Console())
        self._live = Live(console=self._console, auto_refresh=True, refresh_per_second=4, transient=True)
        self._name: str | None = None
        self._began = self._drawn_at = 0.0
        self._done_before = 0
        self._done = 0

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """As `Display.starting`."""
        super().starting(specs)
        self._done = self._done_before = self._total - len(specs)
        self._began = time.monotonic()

    def running(self, name: str, workers: int) -> None:
        """As `Display.running`."""
        self._name = name

    def tick(self) -> bool:
        """As `Display.tick`."""
        if self._name is None or time.monotonic() - self._drawn_at < _REFRESH_SECONDS:
            return False
        self._drawn_at = time.monotonic()
        progress = find_progress(self._store, self._name)
        if progress is None:
            return True
        used = self._done + budget_used(progress)
        gained = used - self._done_before
        seconds = time.monotonic() - self._began
        head = Table.grid(padding=(0, 1))
        left = f", about {seconds * (self._total - used) / gained / 60:.0f} min left" if gained > 0.5 else ""
        head.add_row(
            f"study {self._place[self._name]} of {self._total}",
            ProgressBar(total=self._total, completed=used, width=28),
            Text(left.removeprefix(", ")),
        )
        self._live.update(Group(head, progress_view(progress, seconds=progress.wall_seconds, seconds_left=None)))
        return True

    def ended(self, name: str) -> None:
        """As `Display.ended`."""
        self._name = None
        self._done += 1
        self._live.update(Text(""))
        super().ended(name)

    def __enter__(self) -> _LiveComparison:
        self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._live.stop()
