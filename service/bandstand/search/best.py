"""Which trial is a study's best: the one rule, which whoever tells a best trial follows, and what is told of it.

Knows what a trial's end says of its value. Must not know where trials are kept: `bandstand.store.best_rows` says the
same in SQL, and is tested to agree.

Where a study takes each trial's best epoch, its best trial is the one with the best value that was seen, at any epoch
of any trial, whatever becomes of that trial: one that is pruned or fails later had these weights all the same. Where a
study takes the last epoch, only a complete trial has reached it. That of a pruned trial is where a pruner happened to
stop it, so it counts while no trial is complete; that of a failed one never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from bandstand.search.events import TrialState

if TYPE_CHECKING:
    from bandstand.study.study import Objective

__all__ = ["BestTrial", "Place", "Seen", "epoch_counts", "place_of"]


class Place(NamedTuple):
    """Where a trial stands among others: the smallest is the best."""

    behind: bool
    """It is no full result: it counts only while there is none."""
    loss: float
    number: int
    """Of equal trials the earlier is the better one."""


def epoch_counts(value: float | None, metrics: Mapping[str, float]) -> bool:
    """Whether an epoch may be a trial's best one: with a loss that is not finite, its weights are of no use.

    Args:
        value: the objective; None where the epoch did not report it.
        metrics: all of the epoch's logs.
    """
    return value is not None and isfinite(value) and isfinite(metrics.get("loss", 0.0))


def place_of(objective: Objective, state: TrialState, value: float | None, number: int) -> Place | None:
    """The place of a trial; None where it does not count.

    Args:
        objective: what trials are judged by.
        state: where the trial stands.
        value: its best epoch's, or its last one's, as the objective asks; None or NaN where it has none.
        number: the trial's.
    """
    if value is None or not isfinite(value):
        return None
    if objective.epoch == "best":
        return Place(False, objective.sign * value, number)
    if state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    return Place(state is TrialState.PRUNED, objective.sign * value, number)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The best value of any epoch, where the study's objective takes another."""

    value: float
    number: int  # of the trial
    epoch: int
    state: str


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """A study's best trial as readers get it, by the rule of `place_of`."""

    number: int
    params: dict[str, Any]
    value: float
    epoch: int  # the epoch that reached the value, counted from 1
    epochs: int  # how many it trained
    state: str  # any: what became of a trial later takes nothing from its best epoch
    model_path: str | None  # .keras file: that epoch's weights, or what was combined with them; None: it is not there
    seen: Seen | None = None  # a better value that does not count, where the objective takes each trial's last epoch

    @property
    def model_words(self) -> str:
        """Why there is no file of its model, for people; empty where there is."""
        if self.model_path is not None:
            return ""
        if self.state not in ("complete", "pruned", "failed"):
            return "its model is saved when the trial ends, or the study is stopped"
        return "its model is not there: no file or checkpoint with the weights of this epoch was left when it ended"

    def seen_words(self, objective: Objective) -> str:
        """What was seen beyond the best that counts, and why it does not, for people; empty where this is the best."""
        if self.seen is None:
            return ""
        return (
            f"objective.epoch = {objective.epoch!r} takes each trial's last epoch; the {objective.best_word} seen is "
            f"{self.seen.value:.4f}, in epoch {self.seen.epoch} of trial {self.seen.number} ({self.seen.state})"
        )
