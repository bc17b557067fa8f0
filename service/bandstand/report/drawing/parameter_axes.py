"""Axes of parameters: where a value stands on a scale of 0 to 1, and what is written there.

Knows one parameter at a time. Must not know trials or figures.
"""

from __future__ import annotations

from math import log10
from typing import cast

from bandstand.report.drawing.axes import linear_ticks, log_ticks
from bandstand.report.text import number, shortened, value_text
from bandstand_spaces import Categorical, Float, Int, Parameter, Value

__all__ = ["cell_of", "cells_of", "place_of", "share", "ticks_of"]

MAX_CELLS = 8
"""Integers with no more values than this are shown like choices."""


def cells_of(parameter: Parameter) -> tuple[Value, ...]:
    """The few values of a parameter that get a cell each; empty where it has a scale."""
    if isinstance(parameter, Categorical):
        return parameter.grid()
    return parameter.grid() if isinstance(parameter, Int) and parameter.size <= MAX_CELLS else ()


def cell_of(parameter: Parameter, value: Value) -> int:
    """Which of `cells_of` a value is."""
    return cells_of(parameter).index(value)


def place_of(parameter: Parameter, value: Value, trial: int = 0) -> float:
    """Where a value stands, from 0 (left) to 1 (right); `trial` spreads those that share a cell a little."""
    cells = cells_of(parameter)
    if cells:
        # Golden-ratio steps spread the trials of a cell a little, so that their marks do not hide each other.
        spread = (trial * 0.618034) % 1 - 0.5
        return (cells.index(value) + 0.5 + 0.4 * spread) / len(cells)
    low, high, log = _scale(parameter)
    return share(log10(float(value)), log10(low), log10(high)) if log else share(float(value), low, high)


def ticks_of(parameter: Parameter, letters: int = 44) -> tuple[tuple[float, str], ...]:
    """Places with what is written there; `letters` fit on the whole axis where it has cells."""
    cells = cells_of(parameter)
    if cells:
        texts = [shortened(value_text(cell), max(3, letters // len(cells))) for cell in cells]
        return tuple(((index + 0.5) / len(cells), text) for index, text in enumerate(texts))
    low, high, log = _scale(parameter)
    values = log_ticks(low, high) if log else linear_ticks(low, high)
    if isinstance(parameter, Int):
        values = [value for value in values if value == int(value)]
    return tuple((place_of(parameter, value), number(value)) for value in values)


def share(value: float, low: float, high: float) -> float:
    """How far `value` is from `low` to `high`; the middle where they are one."""
    return (value - low) / (high - low) if high > low else 0.5


def _scale(parameter: Parameter) -> tuple[float, float, bool]:
    """Low, high and whether it is logarithmic, of a parameter without cells."""
    numeric = cast("Float | Int", parameter)  # a Categorical has cells
    return float(numeric.low), float(numeric.high), numeric.log
