"""Lines with a band around each, for several studies of one strategy: stepped, one colour a strategy.

Knows how bands look. Must not know where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.drawing.axes import make_bounds, objective_axis
from bandstand.report.drawing.style import DASHES, STUDY_COLORS, make_figure
from bandstand.report.text import label

__all__ = ["Band", "band_figure"]

_HEIGHT = 420
_OPACITY = 0.13


class Band(NamedTuple):
    """One strategy: a line, and where its studies lie around it."""

    label: str
    x: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def band_figure(bands: Sequence[Band], objective: Objective, axis: str, shaded: Collection[str]) -> go.Figure:
    """A stepped line for each strategy with its band.

    Args:
        bands: in the order of the legend.
        objective: what the values are.
        axis: title of the axis below.
        shaded: labels of those whose band is drawn; more than a few over each other cannot be told apart.
    """
    traces: list[Any] = []
    for index, band in enumerate(bands):
        color = STUDY_COLORS[index % len(STUDY_COLORS)]
        name = label(band.label, 44)
        if band.label in shaded:
            edge = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip", "showlegend": False}
            traces.append(go.Scatter(x=band.x, y=band.low, legendgroup=band.label, **edge))
            fill = {"fill": "tonexty", "fillcolor": _faint(color)}
            traces.append(go.Scatter(x=band.x, y=band.high, legendgroup=band.label, **fill, **edge))
        traces.append(
            go.Scatter(
                x=band.x,
                y=band.middle,
                mode="lines",
                name=name,
                legendgroup=band.label,
                line={"color": color, "dash": DASHES[index % len(DASHES)], "width": 2.4, "shape": "hv"},
                hovertemplate=f"{name}<br>%{{y:.5g}} at %{{x:.4g}}<extra></extra>",
            )
        )
    bounds = make_bounds([value for band in bands for value in band.middle[len(band.middle) // 10 :]], objective.sign)
    return make_figure(
        traces,
        _HEIGHT,
        xaxis={"title": {"text": axis}, "rangemode": "tozero"},
        yaxis=objective_axis(objective, bounds, "best "),
        showlegend=True,
    )


def _faint(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{_OPACITY})"
