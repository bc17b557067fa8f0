"""Several trials' weights as one model: what may be put together, and whether the study takes it.

Knows the rule by which a combined model is weighed against the best snapshot. Must not know how either is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from bandstand.problem.objective import Objective
from bandstand.trials.events import Combined

__all__ = ["LEAST_MEMBERS", "Combination", "sentence_on", "weigh"]

LEAST_MEMBERS = 2
"""Of one there is nothing to combine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Combination:
    """What a study wants put together for its result."""

    how: str
    """`average` of the weights, or `ensemble`: the mean of the predictions."""
    trials: tuple[int, ...]
    """Whose last weights, oldest first; each has a checkpoint of its last epoch."""


def weigh(
    combination: Combination,
    objective: Objective,
    *,
    value: float | None,
    snapshot_value: float | None,
    uri: str | None = None,
    problem: str | None = None,
) -> Combined:
    """Whether the combined model is the study's: where it is not worse than the best snapshot.

    Args:
        combination: what was put together.
        objective: what both were judged by.
        value: the combined model's, on validation data; None where there is none.
        snapshot_value: the best snapshot's, from the same data in the same way.
        uri: the combined model's file.
        problem: why it could not be made or scored.
    """
    value, snapshot_value = (
        number if number is not None and isfinite(number) else None for number in (value, snapshot_value)
    )
    if not problem and (value is None or snapshot_value is None):
        problem = f"{objective.metric} could not be measured for both"
    taken = (
        not problem
        and value is not None
        and snapshot_value is not None
        and not objective.is_better(snapshot_value, than=value)
    )
    return Combined(
        how=combination.how,
        trials=combination.trials,
        taken=taken,
        value=value,
        snapshot_value=snapshot_value,
        uri=uri,
        problem=problem,
    )


def sentence_on(combined: Combined, metric: str) -> str:
    """Which model a study took, and why."""
    if combined.problem:
        return f"the study's model is the best snapshot, because there is no {combined.how}: {combined.problem}"
    what = f"the {combined.how} of the last weights of trials {', '.join(str(number) for number in combined.trials)}"
    values = f"{metric} {combined.value:.6g} on validation data, against {combined.snapshot_value:.6g}"
    if combined.taken:
        return f"the study's model is {what}, which is not worse than the best snapshot ({values})"
    return f"the study's model is the best snapshot, because {what} is worse ({values})"
