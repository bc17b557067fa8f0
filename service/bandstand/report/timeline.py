"""A study in the order in which it happened, against the epochs it had trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from bandstand.store.views import StudyRecord

__all__ = ["BestCurve", "make_best_curve", "ordered_measurements", "values_of"]


def values_of(frame: pd.DataFrame) -> pd.Series[float]:
    """Column `value` as floats, NaN where there is no finite one."""
    return pd.to_numeric(frame["value"], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def ordered_measurements(record: StudyRecord) -> pd.DataFrame:
    """trial, epoch, value (finite or NaN), seconds and created_at of each measurement in the order they were made in.

    The index is `spent`: how many epochs the study had trained with it, counted from 1, failed trials included.
    """
    frame = record.measurements[["trial", "epoch", "seconds", "created_at"]].assign(
        value=values_of(record.measurements)
    )
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


def make_best_curve(record: StudyRecord) -> BestCurve:
    """How the study's best came about.

    It ends at the value of the trial that the study chose: completed trials count, pruned ones only where none is
    complete. Where the objective takes a trial's best epoch, a value counts from the moment it was measured; where it
    takes the last, from the trial's end.
    """
    ordered, trials, objective = ordered_measurements(record), record.trials, record.spec.objective
    finished = trials[trials["state"].isin(["complete", "pruned"]) & values_of(trials).notna()]
    if (finished["state"] == "complete").any():
        finished = finished[finished["state"] == "complete"]
    counted = ordered[ordered["trial"].isin(finished["number"])]
    if objective.epoch == "last":
        counted = counted[~counted["trial"].duplicated(keep="last")]
    losses = (objective.sign * counted["value"]).dropna()
    best = losses.cummin()
    changes = best[best.diff().fillna(-1.0) < 0]
    return BestCurve(
        tuple(int(spent) for spent in changes.index),
        tuple(float(objective.sign * loss) for loss in changes),
        len(ordered),
    )
