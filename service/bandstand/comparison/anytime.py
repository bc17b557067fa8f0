"""Best so far at any time: the median over an arm's repeats and its interval, against epochs and training time.

Knows results. Must not know the page around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from bandstand.comparison.conclusions import Conclusions
from bandstand.comparison.results import ArmStudy, Results
from bandstand.comparison.statistics import median_band
from bandstand.problem.objective import Objective
from bandstand.report.drawing.bands import Band, band_figure
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.text import and_list, counted

__all__ = ["AnytimeData", "anytime_data", "draw_by_epochs", "draw_by_seconds"]

Against = Literal["epochs", "seconds"]

_POINTS = 200
_MANY = 4
"""Bands over each other that can still be told apart."""
_UNITS = ((2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


class AnytimeData(NamedTuple):
    """A band for each arm with finished repeats."""

    objective: Objective
    axis: str
    bands: tuple[Band, ...]
    repeats: tuple[int, ...]
    """Of each band."""


def anytime_data(results: Results, against: Against) -> AnytimeData | str:
    """The bands, or why there are none; the axis ends where the arm's shortest repeat does."""
    arms = [arm for arm in results.arms if any(run.curve.values for run in arm.studies)]
    if not arms:
        return "No study of this comparison has finished with a value yet."
    objective = results.plan.spec.objective
    longest = max(_spent(run, against) for arm in arms for run in arm.studies)
    _, unit, name = next(each for each in _UNITS if longest >= each[0])
    scale, axis = (
        (1.0, "epochs trained") if against == "epochs" else (unit, f"training time, all workers together ({name})")
    )
    bands = []
    for arm in arms:
        end = min(_spent(run, against) for run in arm.studies)
        points = np.linspace(0.0, end, _POINTS + 1)
        middle, low, high = median_band(np.array([_values_at(run, points, against) for run in arm.studies]))
        there = ~np.isnan(middle)
        lines = ((points / scale)[there], middle[there], low[there], high[there])
        bands.append(Band(arm.label, *(tuple(line.tolist()) for line in lines)))
    return AnytimeData(objective, axis, tuple(bands), tuple(len(arm.studies) for arm in arms))


def _spent(run: ArmStudy, against: Against) -> float:
    return float(run.epochs) if against == "epochs" else run.train_seconds


def _values_at(run: ArmStudy, points: Sequence[float] | np.ndarray[Any, Any], against: Against) -> list[float]:
    """Best so far at each point, NaN before the first value."""
    steps = run.curve.epochs if against == "epochs" else run.seconds
    values = np.array([np.nan, *run.curve.values])
    found: list[float] = values[np.searchsorted(steps, points, side="right")].tolist()
    return found


def draw_by_epochs(results: Results, conclusions: Conclusions) -> Drawing | str:
    """What the budget buys."""
    return _draw(results, conclusions, "epochs", "")


def draw_by_seconds(results: Results, conclusions: Conclusions) -> Drawing | str:
    """What the time buys."""
    return _draw(
        results,
        conclusions,
        "seconds",
        "Time is the sum of the durations of all epochs on all workers, without starts and pauses. Small models train "
        "faster, so strategies with equal epochs end at different times.",
    )


def _draw(results: Results, conclusions: Conclusions, against: Against, remark: str) -> Drawing | str:
    data = anytime_data(results, against)
    if isinstance(data, str):
        return data
    shaded = _shaded(data, results, conclusions)
    sentences = [_spread_sentence(data, shaded), remark]
    figure = band_figure(data.bands, data.objective, data.axis, shaded)
    return Drawing(figure, " ".join(sentence for sentence in sentences if sentence))


def _shaded(data: AnytimeData, results: Results, conclusions: Conclusions) -> list[str]:
    labels = [band.label for band in data.bands]
    if max(data.repeats) < 2:
        return []
    if len(labels) <= _MANY:
        return labels
    return [label for label in labels if label == conclusions.leader or label in results.plan.baselines()]


def _spread_sentence(data: AnytimeData, shaded: Sequence[str]) -> str:
    better = "lower" if data.objective.direction == "minimize" else "higher"
    if not shaded:
        return f"Each line is the best {data.objective.metric} so far of one repeat ({better} is better)."
    whose = "each area" if len(shaded) == len(data.bands) else f"each area (of {and_list(shaded)})"
    few = (
        " With fewer than six repeats, the interval reaches about from the worst repeat to the best."
        if max(data.repeats) < 6
        else ""
    )
    return (
        f"Each line is the median of the best {data.objective.metric} so far over {_repeats(data)} ({better} is "
        f"better), and {whose} is the 95 % bootstrap interval of that median (percentiles of 4,000 draws). A line "
        f"begins when all repeats have a value.{few}"
    )


def _repeats(data: AnytimeData) -> str:
    if len(set(data.repeats)) == 1:
        return counted(data.repeats[0], "repeat")
    return and_list(
        [f"{counted(count, 'repeat')} of {band.label}" for band, count in zip(data.bands, data.repeats, strict=True)]
    )
