"""Lines with a band around each, for several studies of one strategy: stepped, one colour a strategy.

Knows how bands look. Must not know where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from service.report.axes import make_bounds, objective_axis
from service.report.best_so_far import DASHES
from service.report.style import STUDY_COLORS, make_figure
from service.report.text import label
from service.study import Objective

__all__ = ["Band", "band_figure"]

_HEIGHT = 420


class Band(NamedTuple):
    """One strategy: a line, and where its studies lie around it."""

    label: str
    x: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def band_figure(bands: Sequence[Band], objective: Objective, axis: str, opacity: float) -> go.Figure:
    """A stepped line for each strategy with its band.

    Args:
        bands: in the order of the legend.
        objective: what the values are.
        axis: title of the axis below.
        opacity: of a band, 0 for none.
    """
    traces: list[Any] = []
    for index, band in enumerate(bands):
        color = STUDY_COLORS[index % len(STUDY_COLORS)]
        name = label(band.label, 44)
        if opacity:
            edge = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip", "showlegend": False}
            traces.append(go.Scatter(x=band.x, y=band.low, legendgroup=band.label, **edge))
            fill = {"fill": "tonexty", "fillcolor": _faint(color, opacity)}
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


def _faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
