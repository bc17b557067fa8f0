"""Where a number lies on its parameter's own scale: the inverse of `value_at`. Must not know any sampler."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces import Float, Int

__all__ = ["ALMOST_ONE", "fraction_of", "reach_at"]

ALMOST_ONE = 1 - 2**-53
"""The largest fraction that `value_at` takes."""


def fraction_of(parameter: Float | Int, value: float) -> float:
    """The fraction 0 <= u < 1 with `parameter.value_at(u) == value`, up to rounding; the middle where there are many.

    Args:
        parameter: a number; on a logarithmic scale u is a fraction of the logarithms' range.
        value: one that the parameter may have.
    """
    low, high = parameter.low, parameter.high
    if parameter.size is None:
        u = log(value / low) / log(high / low) if parameter.log else (value - low) / (high - low)
    elif parameter.log:  # `value_at` gives each integer half a unit on both sides
        u = log(value / (low - 0.5)) / log((high + 0.5) / (low - 0.5))
    else:
        u = (round((value - low) / (parameter.step or 1)) + 0.5) / parameter.size
    return min(max(u, 0.0), ALMOST_ONE)


def reach_at(parameter: Float | Int, value: float) -> float:
    """Twice the distance from the value to the farther of its neighbours on the scale, at most 1; 0 if continuous.

    An interval so wide around the value, or shifted to lie within the scale, has room for a neighbour on each side.
    """
    if parameter.size is None:
        return 0.0
    step = parameter.step or 1
    neighbours = [min(value + step, parameter.high), max(value - step, parameter.low)]
    here = fraction_of(parameter, value)
    return min(1.0, 2 * max(abs(fraction_of(parameter, neighbour) - here) for neighbour in neighbours))
