"""The figures of a comparison by name, in the order of its report.

Knows which there are. Must not know how one is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bandstand.comparison.anytime import draw_by_epochs, draw_by_seconds
from bandstand.comparison.conclusions import Conclusions
from bandstand.comparison.differences import draw_differences
from bandstand.comparison.final_values import draw_final_values
from bandstand.comparison.results import Results
from bandstand.comparison.wins import draw_wins
from bandstand.report.drawing.drawing import Drawing

__all__ = ["COMPARISON_FIGURES", "ComparisonFigure"]


class ComparisonFigure(NamedTuple):
    """One figure that can be made of a comparison."""

    title: str
    draw: Callable[[Results, Conclusions], Drawing | str]
    """The figure, or the sentence that says why there is none."""


COMPARISON_FIGURES: Mapping[str, ComparisonFigure] = MappingProxyType(
    {
        "by_epochs": ComparisonFigure("Best value by epochs", draw_by_epochs),
        "final_values": ComparisonFigure("Values of the chosen models", draw_final_values),
        "differences": ComparisonFigure("Differences to random and grid search", draw_differences),
        "wins": ComparisonFigure("How often one strategy beats another", draw_wins),
        "by_seconds": ComparisonFigure("Best value by training time", draw_by_seconds),
    }
)
