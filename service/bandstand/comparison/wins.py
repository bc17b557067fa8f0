"""How often one arm's run beats another's, as a table of colours.

Knows conclusions. Must not know the page around it.
"""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from bandstand.comparison.conclusions import Conclusions
from bandstand.comparison.results import Results
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.style import make_figure
from bandstand.report.text import label

__all__ = ["WinsData", "draw_wins", "wins_data"]

_ROW = 44
_SCALE = [[0.0, "#c2519a"], [0.5, "rgba(128,128,128,0.12)"], [1.0, "#2f80c9"]]


class WinsData(NamedTuple):
    """Probabilities that the arm of the row beats that of the column; None on the diagonal."""

    arms: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]


def wins_data(conclusions: Conclusions) -> WinsData | str:
    """The probabilities, or why there are none; the best arm on average first."""
    if not conclusions.pairs:
        return "This figure needs two strategies with finished repeats."
    shares = {(one.arm, one.other): one.wins for one in conclusions.pairs}
    shares |= {(other, arm): 1 - wins for (arm, other), wins in shares.items()}
    arms = tuple(dict.fromkeys([one.arm for one in conclusions.pairs] + [one.other for one in conclusions.pairs]))
    return WinsData(arms, tuple(tuple(shares.get((mine, other)) for other in arms) for mine in arms))


def wins_figure(data: WinsData) -> go.Figure:
    """A square for each two arms, with its number."""
    names = [label(arm, 18) for arm in data.arms]
    figure = go.Figure(
        go.Heatmap(
            z=data.shares, x=names, y=names, zmin=0, zmax=1, colorscale=_SCALE, showscale=False, xgap=2, ygap=2,
            text=[["" if share is None else f"{share:.2f}" for share in row] for row in data.shares],
            texttemplate="%{text}", hovertemplate="%{y} beats %{x}: %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    base = make_figure([], 120 + _ROW * len(names))
    figure.update_layout(base.layout)
    figure.update_layout(
        xaxis={
            "side": "bottom",
            "type": "category",
            "title": {"text": "probability that the row's strategy beats this one"},
            "showgrid": False,
        },
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False},
    )
    return figure


def draw_wins(_: Results, conclusions: Conclusions) -> Drawing | str:
    """Every two arms."""
    data = wins_data(conclusions)
    if isinstance(data, str):
        return data
    return Drawing(
        wins_figure(data),
        f"Each number is the share of pairs in which a repeat of the row's strategy is better on the "
        f"{conclusions.measure} data than one of the column's (a tie counts half, .5 means no difference). With few "
        "repeats the shares are coarse.",
    )
