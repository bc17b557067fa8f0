"""What a study may cost, told before it starts where that is more than anybody waits for.

Knows a study's limits. Must not know how fast anything trains, but for a speed that no training exceeds.
"""

from __future__ import annotations

from bandstand.strategies import facts_of
from bandstand.study.study_spec import StudySpec

__all__ = ["cost_notes"]

_FASTEST_EPOCHS_PER_SECOND = 1000
"""Of all trainers together. Small models on small data reach a few hundred."""
_LONG_DAYS = 30
_MANY_POINTS = 10_000
"""Of a grid that nothing else ends."""
_DAY_SECONDS = 86_400


def cost_notes(spec: StudySpec) -> list[str]:
    """What to say of a study that may run for longer than anybody means it to; an empty list for others."""
    budget = spec.budget
    if budget.wall_seconds is not None or budget.gpu_hours is not None:
        return []
    points = facts_of(spec).points
    trials = [number for number in (budget.trials, points) if number is not None]
    limits = [number for number in (budget.epochs, *(each * spec.max_epochs for each in trials)) if number is not None]
    epochs = min(limits, default=0)
    days = epochs / _FASTEST_EPOCHS_PER_SECOND / _DAY_SECONDS
    if budget.is_open and points is not None and points >= _MANY_POINTS:
        return [
            f"no budget is set, so the grid's {points:,} points are all trained, for up to {epochs:,} epochs in all: "
            "to stop earlier, set a budget such as wall_seconds = 3600, or option points to fewer"
        ]
    if days >= _LONG_DAYS:
        return [
            f"the budget allows {epochs:,} epochs, which take {_long(days)} even at {_FASTEST_EPOCHS_PER_SECOND:,} "
            "epochs a second: check budget and max_epochs, or set wall_seconds, too"
        ]
    return []


def _long(days: float) -> str:
    return f"{days:,.0f} days" if days < 3 * 365 else f"{days / 365:,.0f} years"
