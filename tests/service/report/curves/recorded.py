"""Ninety real trainings with what helped them: `python -m tests.benchmarks interventions` has recorded them.

The label comes from interventions alone, measured on examples that the curves know nothing of. See
`tests.benchmarks.interventions` for what was trained.
"""

from __future__ import annotations

import gzip
import json
import math
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bandstand.report.curves.diagnosis import Logged, Reference
from bandstand.report.curves.error_curves import Array

__all__ = ["Recorded", "recorded"]

FILE = Path(__file__).with_name("recorded.json.gz")
LEAST_HELP = 0.03
"""An intervention helps where it lowers the error by at least this share of it."""


class Recorded(NamedTuple):
    """One training."""

    study: str
    kinds: tuple[str, ...]  # what the interventions say; the first one helped most
    epochs: tuple[int, ...]
    objective: Logged
    loss: Logged | None


def recorded(*, held_out: bool) -> tuple[Recorded, ...]:
    """The sixty in view of which the rules were chosen, or the thirty that were recorded afterwards."""
    records = _records()
    studies = {record["study"]: [other for other in records if other["study"] == record["study"]] for record in records}
    return tuple(_training(record, studies[record["study"]]) for record in records if record["held_out"] == held_out)


@cache
def _records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(gzip.decompress(FILE.read_bytes()))["records"]
    return records


def _training(record: dict[str, Any], study: list[dict[str, Any]]) -> Recorded:
    metric = record["metric"]
    objective = _logged(record, study, metric)
    loss = None if metric == "val_loss" else _logged(record, study, "val_loss")
    return Recorded(
        record["study"], kinds_of(record), tuple(range(1, len(objective.train) + 1)), objective, loss
    )  # fmt: skip


def _logged(record: dict[str, Any], study: list[dict[str, Any]], metric: str) -> Logged:
    name, sign = metric.removeprefix("val_"), -1.0 if "accuracy" in metric else 1.0
    first = [value for other in study if math.isfinite(value := float(other["curves"][name][0]))]
    best = [
        sign * float(np.nanmin([sign * float(value) for other in study for value in other["curves"][key]]))
        for key in (name, metric)
    ]
    curves = ([float(value) for value in record["curves"][key]] for key in (name, metric))
    return Logged(metric, sign, *curves, Reference(sign * float(np.quantile(sign * np.array(first), 0.25)), *best))


def kinds_of(record: dict[str, Any]) -> tuple[str, ...]:
    """What a training is by its interventions: the remedies that clearly help, the best first; `well fit` if none does.

    The curves are those of the first seed. Where that one ended without a finite result, or far worse than an answer
    that is always the same, it has diverged; where it is no better than such an answer, it is not learning. Where
    training on does clear harm, it is overfit.
    """
    sign = -1.0 if "accuracy" in record["metric"] else 1.0
    errors = {arm: np.array([float(value) for value in found]) for arm, found in record["results"].items()}
    baseline = float(record["baseline"])
    if sign < 0:
        errors, baseline = {arm: 1 - values for arm, values in errors.items()}, 1 - baseline
    base = errors["base"]
    if not np.isfinite(base[0]) or base[0] > 2 * baseline:
        return ("diverged",)
    longer = _gains_of_training_on(base, errors["longer"])
    gains = {"still learning": longer, "overfit": -longer}
    for arm, kind in (("less", "underfit"), ("more", "overfit")):
        if errors[arm].max() < base.min():  # one chance in twenty where the arms do not differ
            gains[kind] = max(gains.get(kind, 0.0), 1 - float(errors[arm].mean() / base.mean()))
    found = sorted((kind for kind, gain in gains.items() if gain >= LEAST_HELP), key=lambda kind: -gains[kind])
    if base[0] > 0.97 * baseline:
        return ("not learning", *found)
    return tuple(found) or ("well fit",)


def _gains_of_training_on(base: Array, longer: Array) -> float:
    """The share of its error that the first seed lost by training on; 0 unless most seeds changed the same way."""
    gains = 1 - longer / base
    if not np.isfinite(gains).all():
        return 0.0
    agree = ((np.sign(gains) == np.sign(gains[0])) & (np.abs(gains) >= LEAST_HELP)).sum()
    return float(gains[0]) if agree > len(gains) / 2 else 0.0
