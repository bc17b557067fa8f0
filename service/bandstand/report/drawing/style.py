"""How figures look: one set of colours that reads on white and on near-black, and a template for each.

Colours mean the same in every figure: orange is the best, blue complete, grey pruned, red failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import plotly.graph_objects as go

from bandstand.trials.events import TrialState

__all__ = ["BEST_COLOR", "DASHES", "STATE_STYLES", "STUDY_COLORS", "THEMES", "StateStyle", "make_figure"]

BEST_COLOR = "#e8770c"
STUDY_COLORS = ("#2f80c9", "#c2519a", "#2a9d7f", "#8a6fd1", "#b08900", "#a0603a", "#6b9b2f", "#7c8796")
"""This study's, then those of the others in turn."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Of lines, by which studies differ where colours cannot be told apart."""


class StateStyle(NamedTuple):
    """How trials of one state are drawn."""

    color: str
    symbol: str


STATE_STYLES: Mapping[str, StateStyle] = MappingProxyType(
    {
        TrialState.COMPLETE: StateStyle("#2f80c9", "circle"),
        TrialState.PRUNED: StateStyle("#94a0ae", "triangle-down"),
        TrialState.FAILED: StateStyle("#d6455d", "x"),
        TrialState.RUNNING: StateStyle("#2a9d7f", "circle-open"),
        TrialState.PAUSED: StateStyle("#8c7bb5", "square-open"),
        TrialState.WAITING: StateStyle("#b08900", "diamond-open"),
    }
)
"""In the order of legends and stacks."""


def _theme(ink: str, grid: str, panel: str, behind_text: str) -> dict[str, Any]:
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "tickcolor": grid,
        "automargin": True,
        "title": {"standoff": 10},
    }
    return {
        "layout": {
            "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
            "hoverlabel": {"bgcolor": panel, "bordercolor": grid, "font": {"color": ink}, "align": "left"},
            "annotationdefaults": {"font": {"color": ink}, "bgcolor": behind_text},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": grid, "activecolor": ink},
            "margin": {"l": 8, "r": 8, "t": 30, "b": 8},
        }
    }


THEMES: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "light": _theme("#27313d", "#dfe4ea", "#ffffff", "rgba(255,255,255,0.82)"),
        "dark": _theme("#d5dce5", "#39434f", "#222a33", "rgba(22,27,34,0.82)"),
    }
)
"""Plotly templates. A figure carries the light one; the page changes it with the reader's setting."""


def make_figure(traces: list[Any], height: int, **layout: Any) -> go.Figure:
    """A figure of `height` pixels, as wide as its place."""
    return go.Figure(traces, layout={"template": THEMES["light"], "height": height, "autosize": True, **layout})
