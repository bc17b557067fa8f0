"""A study's progress as people read it: in words, and as a table for the terminal.

Knows progress and how it is said. Must not know when it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bandstand.store.records import StudyProgress
from bandstand.strategies import facts_of
from bandstand.trials.events import FINAL_STATES, TrialState
from bandstand.trials.ledger import LimitSpent, spent_of_limits, spent_share

__all__ = [
    "STATE_WORDS",
    "best_words",
    "budget_spent",
    "budget_used",
    "params_text",
    "progress_view",
    "trial_counts",
]

_SHOWN_TRIALS = 12
_UNITS = {"wall_seconds": "s", "gpu_hours": "GPU hours"}
"""Of the limits that are not named by their unit."""
STATE_WORDS: Mapping[TrialState, str] = MappingProxyType(
    {state: "done" if state is TrialState.COMPLETE else str(state) for state in (TrialState.RUNNING, *FINAL_STATES)}
)
"""What trials of a state are called where they are counted in a line; the others seldom matter."""


def budget_used(progress: StudyProgress) -> float:
    """How much of its budget a study has used, 0 to 1: of several limits, the one that is nearest."""
    return spent_share(_limits(progress).values()) or 0.0


def _limits(progress: StudyProgress) -> dict[str, LimitSpent]:
    """What is spent of everything that is limited, by unit."""
    spent = spent_of_limits(
        progress.budget.model_dump(exclude_none=True), epochs=progress.epochs, trials=progress.spent_trials,
        wall_seconds=progress.wall_seconds, gpu_seconds=progress.gpu_seconds,
    )  # fmt: skip
    limits = {_UNITS.get(name, name): each for name, each in spent.items()}
    points = facts_of(progress.spec).points
    if points:
        limits["points of the grid"] = LimitSpent(progress.spent_trials, points)
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
        Text(f"trials   {trial_counts(progress)}"),
        Text(best_words(progress), style="bold green"),
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


def trial_counts(progress: StudyProgress) -> str:
    """How many trials stand where, in a line."""
    counts = progress.counts
    shown = [f"{counts.get(state, 0)} {word}" for state, word in STATE_WORDS.items()]
    shown += [f"{counts[state]} {state}" for state in (TrialState.PAUSED, TrialState.WAITING) if counts.get(state)]
    return ", ".join(shown)


def best_words(progress: StudyProgress) -> str:
    """The best trial so far, in a line."""
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
