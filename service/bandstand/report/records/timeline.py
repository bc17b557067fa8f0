"""A study in the order in which it happened, against the epochs it had trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from bandstand.store.records import StudyRecord
from bandstand.trials.best import RankKey, full_results, ranked_by_loss, ranked_places
from bandstand.trials.events import TrialState

__all__ = [
    "BestCurve",
    "make_best_curve",
    "ordered_measurements",
    "places_of",
    "ranked_from_the_best",
    "ranked_trials",
    "values_of",
]


def values_of(frame: pd.DataFrame) -> pd.Series[float]:
    """Column `value` as floats, NaN where there is no finite one."""
    return pd.to_numeric(frame["value"], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def ordered_measurements(record: StudyRecord) -> pd.DataFrame:
    """trial, epoch, value (finite or NaN), seconds and created_at of each measurement in the order they were made in.

    The index is `spent`: how many epochs the study had trained with it, counted from 1, failed trials included.
    """
    measured = record.measurements
    values = values_of(measured)
    if "loss" in measured:  # see `epoch_counts`
        values = values.where(np.isfinite(measured["loss"].astype(float)))
    frame = measured[["trial", "epoch", "seconds", "created_at"]].assign(value=values)
    frame = frame.sort_values(["created_at", "trial", "epoch"], kind="stable")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="spent")
    return frame


class BestCurve(NamedTuple):
    """The best value so far: `values[i]` holds from `epochs[i]` until `epochs[i + 1]`."""

    epochs: tuple[int, ...]
    """Epochs that the study had trained when the best changed, ascending."""
    values: tuple[float, ...]
    total: int
    """Epochs that the study has trained in all."""

    def at(self, epochs: int) -> float | None:
        """The best value after so many epochs; None before the first."""
        index = int(np.searchsorted(self.epochs, epochs, side="right"))
        return self.values[index - 1] if index else None


def places_of(record: StudyRecord) -> list[RankKey]:
    """The places of the trials that count, the best first; see `bandstand.trials.best`."""
    columns = (record.trials["state"], values_of(record.trials), record.trials["number"])
    rows = zip(*columns, strict=True)
    return ranked_places(
        record.spec.objective, ((TrialState(state), float(value), int(number)) for state, value, number in rows)
    )


def ranked_trials(record: StudyRecord, values: Mapping[int, float]) -> list[int]:
    """Trials by a value of each that can be compared, the best value first, of equal ones the earlier trial."""
    sign = record.spec.objective.sign
    return ranked_by_loss({trial: sign * value for trial, value in values.items()})


def ranked_from_the_best(record: StudyRecord, values: Mapping[int, float]) -> list[int]:
    """As `ranked_trials`, with the study's best trial in front, where it is among them."""
    best = record.best.number if record.best else None
    return sorted(ranked_trials(record, values), key=lambda trial: trial != best)


def make_best_curve(record: StudyRecord) -> BestCurve:
    """How the study's best came about.

    It ends at the value of the best trial, by the rule of `bandstand.trials.best`. Where the objective takes a trial's
    best epoch, a value counts from the moment it was measured; where it takes the last, from the trial's end.
    """
    ordered, objective = ordered_measurements(record), record.spec.objective
    counted = ordered
    if objective.epoch == "last":
        full = [place.number for place in full_results(places_of(record))]
        counted = ordered[ordered["trial"].isin(full)]
        counted = counted[~counted["trial"].duplicated(keep="last")]
    losses = (objective.sign * counted["value"]).dropna()
    best = losses.cummin()
    changes = best[best.diff().fillna(-1.0) < 0]
    return BestCurve(
        tuple(int(spent) for spent in changes.index),
        tuple(float(objective.sign * loss) for loss in changes),
        len(ordered),
    )
