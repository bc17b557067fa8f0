"""How much better or worse than the baselines: the mean paired difference of each arm and its interval.

Knows conclusions. Must not know the page around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from bandstand.comparison.conclusions import Conclusions
from bandstand.comparison.results import Results
from bandstand.comparison.statistics import ConfidenceInterval
from bandstand.report.drawing.axes import row_places, rows_axis
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.style import STUDY_COLORS, make_figure
from bandstand.report.text import and_list, label

__all__ = ["ArmDifference", "DifferenceData", "difference_data", "draw_differences"]

_ROW = 40
_SHOWN, _NOT_SHOWN = STUDY_COLORS[2], STUDY_COLORS[5]
_SHIFT = 0.16


class ArmDifference(NamedTuple):
    """An arm less a baseline; positive is better."""

    arm: str
    baseline: str
    interval: ConfidenceInterval
    differences: tuple[float, ...]
    shown: bool
    """Whether it is shown to be other than 0."""


class DifferenceData(NamedTuple):
    """All arms against all baselines."""

    measure: str
    rows: tuple[ArmDifference, ...]


def difference_data(conclusions: Conclusions) -> DifferenceData | str:
    """The differences, or why there are none."""
    rows = tuple(
        ArmDifference(one.arm, baseline, one.found.difference, one.found.differences, one.is_better or one.is_worse)
        for baseline, family in conclusions.against
        for one in family
    )
    if not rows:
        return (
            "There is nothing to compare with yet: no repeat has finished both for random or grid search and for "
            "another strategy."
        )
    return DifferenceData(conclusions.measure, rows)


def difference_figure(data: DifferenceData) -> go.Figure:
    """A row for each arm, a mark for each baseline."""
    arms = sorted(dict.fromkeys(row.arm for row in data.rows), key=lambda arm: -_mean_over_all(data, arm))
    places = row_places(arms)
    baselines = list(dict.fromkeys(row.baseline for row in data.rows))
    traces: list[Any] = []
    for index, baseline in enumerate(baselines):
        rows = [row for row in data.rows if row.baseline == baseline]
        shift = _SHIFT * (1 - 2 * index) if len(baselines) > 1 else 0.0
        heights = [shift + places[row.arm] for row in rows]
        traces.append(_marks(rows, heights, STUDY_COLORS[index], ("circle", "square")[index % 2]))
    figure = make_figure(
        traces,
        110 + _ROW * len(arms),
        xaxis={"title": {"text": f"{data.measure} difference (right is better)"}, "zeroline": False},
        yaxis=rows_axis(places),
        showlegend=True,
    )
    figure.add_vline(x=0, line={"color": _NOT_SHOWN, "width": 1.5, "dash": "dot"})
    return figure


def _marks(rows: Sequence[ArmDifference], heights: Sequence[float], color: str, symbol: str) -> go.Scatter:
    """The differences from one baseline, each with its interval; hollow where none is shown."""
    baseline = rows[0].baseline
    return go.Scatter(
        x=[row.interval.mean for row in rows],
        y=heights,
        mode="markers",
        name=label(f"over {baseline}"),
        text=[label(row.arm) for row in rows],
        marker={
            "color": [color if row.shown else "rgba(0,0,0,0)" for row in rows],
            "line": {"color": color, "width": 2},
            "size": 11,
            "symbol": symbol,
        },
        error_x={
            "type": "data",
            "array": [_half(row.interval) for row in rows],
            "color": color,
            "thickness": 2,
            "width": 5,
        },
        hovertemplate=f"%{{text}} over {label(baseline)}<br>%{{x:+.4g}}<extra></extra>",
    )


def _mean_over_all(data: DifferenceData, arm: str) -> float:
    """So that the best stand above; to one baseline the order is that of the means."""
    found = [row.interval.mean for row in data.rows if row.arm == arm]
    return sum(found) / len(found)


def _half(interval: ConfidenceInterval) -> float:
    return interval.high - interval.mean if interval.high == interval.high else 0.0


def draw_differences(_: Results, conclusions: Conclusions) -> Drawing | str:
    """The arms against the baselines."""
    data = difference_data(conclusions)
    if isinstance(data, str):
        return data
    baselines = list(dict.fromkeys(row.baseline for row in data.rows))
    return Drawing(
        difference_figure(data),
        f"Each mark is the mean difference to {and_list(baselines)} search in the same repeat, with Student's t "
        "interval (95 %, not corrected for several differences). A filled mark is a significant difference: its "
        "interval does not contain 0, and p of the permutation test, corrected for all tests of the baseline, is below "
        ".05. An open mark may be chance.",
    )
