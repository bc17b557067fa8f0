"""The training and validation curves of a study's trials, each with its diagnosis.

Knows frames of measurements and the names of metrics. Must not know how a pair of curves is judged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from bandstand.report.curves.diagnosis import Diagnosis, Logged, Reference, diagnose
from bandstand.report.curves.diagnosis_rules import Rules
from bandstand.report.drawing.sampling import sample_evenly
from bandstand.report.records.lineage_layout import best_path, read_members
from bandstand.store.records import StudyRecord
from bandstand.trials.events import FINAL_STATES

__all__ = ["MAX_TRIALS", "CurvePair", "metric_names", "read_pairs"]

MAX_TRIALS = 2_000
Rows = np.ndarray[tuple[int, ...], np.dtype[np.int_]]
START_QUANTILE = 0.25
"""Not the median: with high learning rates many trials begin with an outburst."""
Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class CurvePair(NamedTuple):
    """One trial."""

    trial: int
    epochs: tuple[int, ...]
    train: tuple[float, ...] | None  # None where the metric was not logged
    validation: tuple[float, ...]
    diagnosis: Diagnosis


def metric_names(metric: str) -> tuple[str, str]:
    """The training and the validation metric that belong to an objective: Keras logs `x` and `val_x`."""
    return (metric.removeprefix("val_"), metric) if metric.startswith("val_") else (metric, f"val_{metric}")


def read_pairs(record: StudyRecord, rules: Rules | None = None) -> Mapping[int, CurvePair]:
    """Trial -> its curves, of the trials that ended and measured anything.

    Of more than `MAX_TRIALS` it is an even sample of them, and the best one: to judge a curve takes time.
    All are judged by the same references: the lower quartile of the study's first training values, and its best values.
    Where the objective is not the loss, both are judged together. A trial that went on from another's checkpoint has
    the curves of its lineage, from fresh weights on.
    """
    return _pairs_of(record, rules)


@lru_cache(maxsize=2)  # two figures of a page ask for it, and a left-out argument would be another key
def _pairs_of(record: StudyRecord, rules: Rules | None) -> Mapping[int, CurvePair]:
    train, validation = metric_names(record.spec.objective.metric)
    measured = record.measurements
    if validation not in measured.columns or measured.empty:
        return {}
    trials = record.trials
    ended = set(trials.loc[trials["state"].isin(FINAL_STATES), "number"])
    measured = measured[measured["trial"].isin(ended)].sort_values(["trial", "epoch"], kind="stable")
    if measured.empty:
        return {}
    sign = record.spec.objective.sign
    objective = _read_metric(measured, train, validation, sign)
    loss = None if validation == "val_loss" else _read_metric(measured, "loss", "val_loss", 1.0)
    held = _numbers(measured[validation])
    epochs, owners = measured["epoch"].to_numpy(dtype=int), measured["trial"].to_numpy(dtype=int)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    stops = [*starts[1:], len(owners)]
    rows = {int(owners[start]): np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)}
    pairs = {}
    chosen = set(sample_evenly(list(rows), MAX_TRIALS)) | ({record.best.number} if record.best else set())
    for trial, here in _along_lineages(record, rows, epochs, chosen).items():
        own = tuple(int(epoch) for epoch in epochs[here])
        found = diagnose(own, _part(objective, here), _part(loss, here), rules=rules)
        training = None if objective is None else tuple(np.asarray(objective.train)[here].tolist())
        pairs[trial] = CurvePair(trial, own, training, tuple(held[here].tolist()), found)
    return pairs


def _read_metric(measured: pd.DataFrame, train: str, validation: str, sign: float) -> Logged | None:
    """A metric's values of all trials, one after the other; None where it was not logged for both."""
    if train not in measured.columns or validation not in measured.columns:
        return None
    fitted, held = _numbers(measured[train]), _numbers(measured[validation])
    return Logged(validation, sign, fitted, held, _reference(measured["epoch"].to_numpy(), fitted, held, sign))


def _part(logged: Logged | None, rows: Rows) -> Logged | None:
    if logged is None:
        return None
    return logged._replace(train=np.asarray(logged.train)[rows], validation=np.asarray(logged.validation)[rows])


def _along_lineages(
    record: StudyRecord, rows: dict[int, Rows], epochs: Rows, chosen: Collection[int]
) -> dict[int, Rows]:
    """The rows of each chosen trial, those of its ancestors before them."""
    if not record.trials["parent"].notna().any():
        return {trial: here for trial, here in rows.items() if trial in chosen}
    members = {member.trial: member for member in read_members(record)}
    joined = {}
    for trial in (trial for trial in rows if trial in chosen):
        parts = [
            rows[step.trial][(epochs[rows[step.trial]] >= step.first) & (epochs[rows[step.trial]] <= step.last)]
            for step in best_path(members, trial, members[trial].last)
            if step.trial in rows
        ]
        joined[trial] = np.concatenate(parts) if parts else rows[trial]
    return joined


def _numbers(column: pd.Series[float]) -> Numbers:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)


def _reference(epochs: Rows, fitted: Numbers, held: Numbers, sign: float) -> Reference | None:
    usable = np.isfinite(fitted) & np.isfinite(held)
    first = usable & (epochs == 1)
    if not first.any():
        return None
    best = (sign * float((sign * values[usable]).min()) for values in (fitted, held))
    return Reference(sign * float(np.quantile(sign * fitted[first], START_QUANTILE)), *best)
