"""Sixty real trainings with what helped them: `python -m tests.benchmarks interventions` has recorded them.

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

from bandstand.report.diagnosis import Logged, Reference

__all__ = ["Recorded", "recorded"]

FILE = Path(__file__).with_name("recorded.json.gz")
LEAST_HELP = 0.03
"""An intervention helps where it lowers the error by at least this share of it …"""
STUDENT = 2.3
"""… and by so many standard errors of the difference of two means: 95 % with eight degrees of freedom."""
KINDS = {"longer": "still learning", "less": "underfit", "more": "overfit"}


class Recorded(NamedTuple):
    """One training."""

    study: str
    kinds: tuple[str, ...]  # what the interventions say; the first one helped most
    epochs: tuple[int, ...]
    objective: Logged
    loss: Logged | None


@cache
def recorded() -> tuple[Recorded, ...]:
    """All sixty."""
    records = json.loads(gzip.decompress(FILE.read_bytes()))["records"]
    studies = {record["study"]: [other for other in records if other["study"] == record["study"]] for record in records}
    return tuple(_training(record, studies[record["study"]]) for record in records)


def _training(record: dict[str, Any], study: list[dict[str, Any]]) -> Recorded:
    metric = record["metric"]
    objective = _logged(record, study, metric)
    loss = None if metric == "val_loss" else _logged(record, study, "val_loss")
    return Recorded(
        record["study"], kinds_of(record), tuple(range(1, len(objective.train) + 1)), objective, loss
    )  # fmt: skip


def _logged(record: dict[str, Any], study: list[dict[str, Any]], metric: str) -> Logged:
    name, sign = metric.removeprefix("val_"), -1.0 if "accuracy" in metric else 1.0
    first = [float(other["curves"][name][0]) for other in study]
    best = [
        sign * float(np.nanmin([sign * float(value) for other in study for value in other["curves"][key]]))
        for key in (name, metric)
    ]
    curves = ([float(value) for value in record["curves"][key]] for key in (name, metric))
    return Logged(metric, sign, *curves, Reference(float(np.median(first)), *best))


def kinds_of(record: dict[str, Any]) -> tuple[str, ...]:
    """What a training is by its interventions: the remedies that clearly help, the best first; `well fit` if none does.

    Training that is no better than an answer that is always the same has not learned; where it ended without a finite
    result, or far worse than that, it has diverged. Where training on does clear harm and nothing helps it is overfit.
    """
    sign = -1.0 if "accuracy" in record["metric"] else 1.0
    errors = {arm: np.array([float(value) for value in found]) for arm, found in record["results"].items()}
    baseline = float(record["baseline"])
    if sign < 0:
        errors, baseline = {arm: 1 - values for arm, values in errors.items()}, 1 - baseline
    base = errors["base"]
    if not np.isfinite(base).all() or base.mean() > 2 * baseline:
        return ("diverged",)
    finite = [values for values in errors.values() if np.isfinite(values).all()]
    spread = math.sqrt(np.mean([values.var(ddof=1) for values in finite]))
    needed = max(STUDENT * spread * math.sqrt(2 / len(base)), LEAST_HELP * base.mean())
    helps = {arm: base.mean() - errors[arm].mean() for arm in KINDS if np.isfinite(errors[arm]).all()}
    found = [KINDS[arm] for arm, gain in sorted(helps.items(), key=lambda item: -item[1]) if gain > needed]
    if base.mean() > 0.97 * baseline:
        return ("not learning", *found)
    if not found and helps.get("longer", 0.0) < -needed:
        return ("overfit",)
    return tuple(found) or ("well fit",)
