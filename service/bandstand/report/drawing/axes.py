"""Axes that can be read: titles that say which way is better, bounds that a few huge losses cannot spoil, ticks."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bandstand.problem.objective import Objective
from bandstand.report.text import label, number

__all__ = [
    "Bounds",
    "epoch_axis",
    "linear_ticks",
    "log_ticks",
    "make_bounds",
    "objective_axis",
    "row_places",
    "rows_axis",
]

_FENCE = 3.0  # in interquartile ranges: the far outliers of a box plot
_SPOILED = 3.0  # how much wider outliers make an axis before they are cut
_LOG_RATIO = 5.0  # losses that span more than this are shown on a logarithmic axis


class Bounds(NamedTuple):
    """What an axis shows of some values."""

    low: float
    high: float
    beyond: int
    """How many values lie outside, all on the bad side."""

    def clip(self, value: float) -> float:
        """`value`, or the end of the axis that it is beyond."""
        return min(max(value, self.low), self.high)

    def is_log(self, objective: Objective) -> bool:
        """Whether a logarithmic axis shows these values better: a loss that falls several times over."""
        return objective.direction == "minimize" and self.low > 0 and self.high > _LOG_RATIO * self.low


def make_bounds(values: Iterable[float], sign: float) -> Bounds | None:
    """The bounds of the finite ones of `values`; None if there are none.

    Values on the bad side that are far outliers and would squeeze all others together are left outside.

    Args:
        values: objective values, in any order.
        sign: 1 where smaller is better, -1 where larger is.
    """
    losses = sign * np.asarray([value for value in values if math.isfinite(value)], dtype=float)
    if not losses.size:
        return None
    best, worst = float(losses.min()), float(losses.max())
    first, third = (float(quartile) for quartile in np.quantile(losses, [0.25, 0.75]))
    fence = third + _FENCE * (third - first)
    if fence > best and worst - best > _SPOILED * (fence - best):
        worst = float(losses[losses <= fence].max())
    beyond = int((losses > worst).sum())
    ends = sorted((sign * best, sign * worst))
    return Bounds(ends[0], ends[1], beyond)


def objective_axis(objective: Objective, bounds: Bounds | None, before: str = "") -> dict[str, Any]:
    """Plotly's settings for an axis of objective values: title, range with room for markers, scale and ticks."""
    if bounds is None:
        return {"title": {"text": f"{before}{label(objective.metric)} ({objective.better})"}}
    if bounds.is_log(objective):
        ends = [math.log10(bounds.low), math.log10(bounds.high)]
        ticks = log_ticks(10 ** _padded(ends)[0], 10 ** _padded(ends)[1])
        return {
            "title": {"text": f"{before}{label(objective.metric)} ({objective.better}, log scale)"},
            "type": "log",
            "range": _padded(ends),
            "tickvals": ticks,
            "ticktext": [number(tick) for tick in ticks],
        }
    ends = [bounds.low, bounds.high]
    return {"title": {"text": f"{before}{label(objective.metric)} ({objective.better})"}, "range": _padded(ends)}


def epoch_axis(first: int, last: int) -> dict[str, Any]:
    """Plotly's settings for an axis of epochs: ticks on the first epoch and on round ones after it.

    A plain axis would begin at 0, which is no epoch.
    """
    if last - first < 12:
        ticks = list(range(first, last + 1))
    else:
        ticks = [first, *(int(tick) for tick in linear_ticks(first - 1, last, 6) if tick > first)]
    span = last - first
    return {
        "title": {"text": "epoch"},
        "range": [max(first - 0.6, first - 0.03 * (span + 1)), last + 0.03 * span + 0.1],
        "tickvals": ticks,
    }


def _padded(ends: list[float]) -> list[float]:
    low, high = ends
    pad = (high - low) * 0.06 or abs(low) * 0.06 or 1.0
    return [low - pad, high + pad]


def linear_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` round numbers from `low` to `high`."""
    raw = (high - low) / (most - 1)
    if raw < sys.float_info.min:  # one value, or none between them that a round number could be
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step + 0.0 for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about `most` round numbers from `low` to `high`, both above 0, for a logarithmic axis."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**power for power in range(first, last + 1) if low <= 10.0**power * (1 + 1e-9) <= high * (1 + 2e-9)]
    if len(decades) >= 3:
        return decades[:: math.ceil(len(decades) / most)]
    fine = [
        digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)
        if low * (1 - 1e-9) <= digit * 10.0**power <= high * (1 + 1e-9)
    ]  # fmt: skip
    return fine if len(fine) >= 2 else [low, high]


def row_places(names: Sequence[str]) -> dict[str, int]:
    """Where each row of a figure stands on the axis upwards; the first at the top."""
    return {name: -index for index, name in enumerate(names)}


def rows_axis(places: Mapping[str, int], limit: int = 24) -> dict[str, Any]:
    """An axis with a name at each of `row_places`, in at most `limit` characters."""
    return {
        "tickmode": "array",
        "tickvals": list(places.values()),
        "ticktext": [label(name, limit) for name in places],
        "range": [0.5 - len(places), 0.5],
        "zeroline": False,
    }
