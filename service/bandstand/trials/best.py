"""Which trial is better than which, and so which is a study's best: the one rule, and what is told of the best.

Knows what a trial's end says of its value. Must not know where trials are kept: `bandstand.store.rows.best_rows` says
the same in SQL, and is tested to agree.

Where a study takes each trial's best epoch, its best trial is the one with the best value that was seen, at any epoch
of any trial, whatever becomes of that trial: one that is pruned or fails later had these weights all the same. Where a
study takes the last epoch, only a complete trial has reached it. That of a pruned trial is where a pruner happened to
stop it, so it counts while no trial is complete; that of a failed one never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from bandstand.problem.objective import Objective
from bandstand.trials.events import FINAL_STATES, TrialState

__all__ = [
    "BestTrial",
    "RankKey",
    "Seen",
    "by_loss",
    "complete_first",
    "epoch_counts",
    "full_results",
    "rank_key_of",
    "ranked_by_loss",
    "ranked_places",
]


class RankKey(NamedTuple):
    """Where a trial stands among others: the smallest is the best."""

    behind: bool
    """It is no full result: it counts only while there is none."""
    loss: float
    """The value, signed so that smaller is better."""
    number: int
    """Of equal trials the earlier is the better one."""


def complete_first(state: TrialState, loss: float, number: int) -> RankKey:
    """The place of a trial among others that ended anywhere: complete ones first, then by value, then the earlier."""
    return RankKey(state is not TrialState.COMPLETE, loss, number)


def by_loss(loss: float, number: int) -> RankKey:
    """The place of a trial among others whose values can be compared as they are: by value, then the earlier."""
    return RankKey(False, loss, number)


def ranked_by_loss(losses: Mapping[int, float]) -> list[int]:
    """Numbers of trials by their losses, in the order of `by_loss`."""
    return [place.number for place in sorted(by_loss(loss, number) for number, loss in losses.items())]


def epoch_counts(value: float | None, metrics: Mapping[str, float]) -> bool:
    """Whether an epoch may be a trial's best one: with a loss that is not finite, its weights are of no use.

    Args:
        value: the objective; None where the epoch did not report it.
        metrics: all of the epoch's logs.
    """
    return value is not None and isfinite(value) and isfinite(metrics.get("loss", 0.0))


def rank_key_of(objective: Objective, state: TrialState, value: float | None, number: int) -> RankKey | None:
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
        return by_loss(objective.sign * value, number)
    return complete_first(state, objective.sign * value, number) if state.is_result else None


def ranked_places(objective: Objective, trials: Iterable[tuple[TrialState, float | None, int]]) -> list[RankKey]:
    """The places of the trials that count, the best first; each is given as the last arguments of `rank_key_of`."""
    found = (rank_key_of(objective, state, value, number) for state, value, number in trials)
    return sorted(place for place in found if place is not None)


def full_results(places: Sequence[RankKey]) -> list[RankKey]:
    """Of places in order, those that the study's best is among: the full results, or all while there is none."""
    return [place for place in places if place.behind is places[0].behind]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The best value of any epoch, where the study's objective takes another."""

    value: float
    number: int  # of the trial
    epoch: int
    state: str


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """A study's best trial as readers get it, by the rule of `rank_key_of`."""

    number: int
    params: dict[str, Any]
    value: float
    epoch: int  # the epoch that reached the value, counted from 1
    epochs: int  # how many it trained
    state: str  # any: what became of a trial later takes nothing from its best epoch
    model_path: str | None  # .keras file: that epoch's weights, or what was combined with them; None: it is not there
    seen: Seen | None = None  # a better value that does not count, where the objective takes each trial's last epoch

    @property
    def model_words(self) -> str | None:
        """Why there is no file of its model, for people; None where there is."""
        if self.model_path is not None:
            return None
        if self.state not in FINAL_STATES:
            return "its model is saved when the trial ends or the study is stopped"
        return "its model is lost: when the trial ended, no file or checkpoint had the weights of this epoch"

    def seen_words(self, objective: Objective) -> str | None:
        """What was seen beyond the best that counts, and why it does not, for people; None where this is the best."""
        if self.seen is None:
            return None
        return (
            f"the {objective.best_word} value of any epoch is {self.seen.value:.4f} (epoch {self.seen.epoch} of trial "
            f"{self.seen.number}, {self.seen.state}); it does not count because objective.epoch = {objective.epoch!r} "
            "takes the last epoch of each trial"
        )
