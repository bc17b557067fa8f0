"""Shows running studies: a live table on a terminal, plain lines in a pipe.

Knows progress and how to draw it. Must not know how a study is run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bandstand.report.text import counted
from bandstand.store.records import EndedTrial, StudyProgress
from bandstand.strategies import facts_of
from bandstand.study.study import StudySpec
from bandstand.trials.events import FINAL_STATES, TrialState
from bandstand.trials.ledger import Spent, spent_of_limits, spent_share

if TYPE_CHECKING:
    from bandstand.store.store import Store

__all__ = [
    "STATE_WORDS",
    "Display",
    "LiveDisplay",
    "NoDisplay",
    "PlainDisplay",
    "budget_spent",
    "budget_used",
    "make_display",
    "params_text",
    "progress_view",
]

_REFRESH_SECONDS = 0.5
_SHOWN_TRIALS = 12
_UNITS = {"wall_seconds": "s", "gpu_hours": "GPU hours"}
"""Of the limits that are not named by their unit."""
STATE_WORDS: Mapping[TrialState, str] = MappingProxyType(
    {state: "done" if state is TrialState.COMPLETE else str(state) for state in (TrialState.RUNNING, *FINAL_STATES)}
)
"""What trials of a state are called where they are counted in a line; the others seldom matter."""


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

    def tick(self) -> None:
        """Called a few times a second."""
        ...

    def ended(self, name: str) -> None:
        """A study runs no longer."""
        ...

    def __enter__(self) -> Any:
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


def budget_used(progress: StudyProgress) -> float:
    """How much of its budget a study has used, 0 to 1: of several limits, the one that is nearest."""
    return spent_share(_limits(progress).values()) or 0.0


def _limits(progress: StudyProgress) -> dict[str, Spent]:
    """What is spent of everything that is limited, by unit."""
    spent = spent_of_limits(
        progress.budget.model_dump(exclude_none=True), epochs=progress.epochs, trials=progress.spent_trials,
        wall_seconds=progress.wall_seconds, gpu_seconds=progress.gpu_seconds,
    )  # fmt: skip
    limits = {_UNITS.get(name, name): each for name, each in spent.items()}
    points = facts_of(progress.spec).points
    if points:
        limits["points of the grid"] = Spent(progress.spent_trials, points)
    return limits


def budget_spent(progress: StudyProgress) -> str:
    """What was spent of what, in words."""
    parts = [f"{round(spent, 2):g} of {limit:g} {unit}" for unit, (spent, limit) in _limits(progress).items()]
    if progress.budget.epochs is None:
        parts.append(f"{progress.epochs} epochs")
    return ", ".join(parts)


def progress_view(progress: StudyProgress, *, seconds: float, seconds_left: float | None) -> RenderableType:
    """A study's progress as a table for the terminal."""
    spec = progress.spec
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(spec.name, style="bold"),
        spec.strategy_name,
        f"{progress.state}",
    )
    bar = Table.grid(padding=(0, 1))
    used = budget_used(progress)
    bar.add_row("budget  ", ProgressBar(total=1.0, completed=used, width=28), f"{used:4.0%}", budget_spent(progress))
    left = f", about {_duration(seconds_left)} left" if seconds_left is not None else ""
    time_line = Text(f"time     {_duration(seconds)}{left}")
    parts: list[RenderableType] = [
        head,
        bar,
        time_line,
        Text(_counts(progress)),
        Text(_best(progress), style="bold green"),
    ]
    if len(progress.rungs) > 1:
        rungs = "   ".join(f"epoch {epoch}: {count}" for epoch, count in sorted(progress.rungs.items()))
        parts.append(Text(f"trials that reached   {rungs}"))
    if progress.running:
        parts.append(_running_table(progress))
    parts.extend(Text(f"note: {notice}", style="yellow") for notice in progress.notices)
    return Group(*parts)


def _running_table(progress: StudyProgress) -> Table:
    spec = progress.spec
    table = Table(box=None, padding=(0, 2), header_style="dim", expand=True)
    for column, width in (("trial", 5), ("epoch", 7), (spec.objective.metric, 12)):
        table.add_column(column, justify="right", no_wrap=True, min_width=width)
    table.add_column("params", overflow="ellipsis", no_wrap=True, ratio=1)
    for trial in progress.running[:_SHOWN_TRIALS]:
        value = "" if trial.value is None else f"{trial.value:.4f}"
        params = params_text({name: trial.params.get(name) for name, _, _ in spec.space.flat()})
        table.add_row(str(trial.number), f"{trial.epochs}/{spec.max_epochs}", value, params)
    if len(progress.running) > _SHOWN_TRIALS:
        table.add_row("…", f"{len(progress.running) - _SHOWN_TRIALS} more")
    return table


def params_text(params: Mapping[str, Any]) -> str:
    """Params in a line, numbers to three digits; inactive ones (None or NaN) are left out."""
    active = {name: value for name, value in params.items() if value is not None and value == value}
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in active.items()
    )


def _counts(progress: StudyProgress) -> str:
    counts = progress.counts
    shown = [f"{counts.get(state, 0)} {word}" for state, word in STATE_WORDS.items()]
    shown += [f"{counts[state]} {state}" for state in (TrialState.PAUSED, TrialState.WAITING) if counts.get(state)]
    return f"trials   {', '.join(shown)}"


def _best(progress: StudyProgress) -> str:
    best = progress.best
    if best is None:
        return "best     none yet"
    objective = progress.spec.objective
    seen = f"; {best.seen_words(objective)}" if best.seen else ""
    return (
        f"best     {objective.metric} {best.value:.4f}, {objective.better} "
        f"(trial {best.number}: {params_text(best.params)}){seen}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


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

    def tick(self) -> None:
        """As `Display.tick`."""

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

    def tick(self) -> None:
        """As `Display.tick`."""
        if self._name is None or time.monotonic() - self._drawn_at < _REFRESH_SECONDS:
            return
        self._drawn_at = time.monotonic()
        view = self._view()
        if view is not None:
            self._live.update(view)

    def _view(self) -> RenderableType | None:
        from bandstand.errors import StudyNotFoundError

        assert self._name is not None
        try:
            progress = self._store.progress(self._name)
        except StudyNotFoundError:  # the coordinator has not created it yet
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
    """A line for each trial that ends, and for the study's own milestones."""

    def __init__(self, store: Store, stream: Any = None):
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
        self._say(f"{', '.join(spec.name for spec in specs)}: starting Ray and the trainers")
        self._before = {spec.name: self._look(spec.name) for spec in specs}

    def _look(self, name: str) -> _Before:
        from bandstand.errors import StudyNotFoundError

        try:
            ended = self._store.ended_trials(name, 0)
            return _Before(ended[-1].seq if ended else 0, len(ended), self._store.progress(name).epochs)
        except StudyNotFoundError:
            return _Before()

    def running(self, name: str, workers: int) -> None:
        """As `Display.running`."""
        before = self._before.get(name, _Before())
        self._name, self._seen, self._spec = name, before.seq, None
        self._say(f"{name}: running on {counted(workers, 'worker')}")
        if before.epochs:
            self._say(f"{name}: going on after {counted(before.trials, 'trial')}, {counted(before.epochs, 'epoch')}")

    def note(self, name: str, message: str) -> None:
        """As `Display.note`."""
        self._say(f"{name}: {message}")

    def tick(self) -> None:
        """As `Display.tick`."""
        if self._name is None or time.monotonic() - self._read_at < _REFRESH_SECONDS:
            return
        self._read_at = time.monotonic()
        self._catch_up()

    def _catch_up(self) -> None:
        from bandstand.errors import StudyNotFoundError

        assert self._name is not None
        try:
            if self._spec is None:
                progress = self._store.progress(self._name)
                self._spec = progress.spec
                self._tell(self._name, progress.notices)
            for ended in self._store.ended_trials(self._name, self._seen):
                self._seen = ended.seq
                self._say(f"{self._name}: {_line_from(ended, self._spec)}")
        except StudyNotFoundError:  # the coordinator has not created it yet
            return

    def ended(self, name: str) -> None:
        """As `Display.ended`."""
        self._catch_up()
        self._name = None
        progress = self._store.progress(name)
        self._tell(name, progress.notices)
        self._say(f"{name}: {progress.state}: {progress.reason or 'it can go on'}; {_counts(progress)}")
        self._say(f"{name}: {_best(progress)}")

    def _tell(self, name: str, notices: Sequence[str]) -> None:
        """Say what has not been said of the study yet."""
        for notice in notices[self._told.get(name, 0) :]:
            self._say(f"{name}: note: {notice}")
        self._told[name] = len(notices)

    def _say(self, line: str) -> None:
        print(" ".join(line.split()), file=self._stream, flush=True)


def _line_from(ended: EndedTrial, spec: StudySpec) -> str:
    value = "" if ended.value is None else f", {spec.objective.metric} {ended.value:.4f}"
    as_usual = (ended.state, ended.reason) == (TrialState.COMPLETE, "max_epochs")
    why = "" if as_usual else f" ({ended.message or ended.reason})"
    return f"trial {ended.number} {ended.state} after {counted(ended.epochs, 'epoch')}{value}{why}"
