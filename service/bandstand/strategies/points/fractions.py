"""A parameter's values as fractions of its own scale, from 0 to below 1. Must not know any sampler."""

from __future__ import annotations

from math import log, nextafter
from typing import Any

from bandstand_spaces import Categorical, Float, Int, Parameter, Value

__all__ = ["ALMOST_ONE", "fraction_of", "reach_at", "value_at"]

ALMOST_ONE = nextafter(1.0, 0.0)
"""The largest fraction there is."""


def value_at(parameter: Parameter, fraction: float) -> Value:
    """The parameter's value at a fraction of its scale; fractions beyond [0, 1) stand for the ends themselves."""
    if not isinstance(parameter, Categorical) and not 0 <= fraction < 1:
        return parameter.low if fraction < 0 else parameter.high  # computed, it may miss the end by its last digit
    # A plain float: with one of NumPy's the value would be one, too, and come back from JSON as another type.
    return parameter.value_at(_clipped(float(fraction)))


def fraction_of(parameter: Parameter, value: Any) -> float:
    """The fraction 0 <= u < 1 with `value_at(parameter, u) == value`, up to rounding.

    Args:
        parameter: a number, or a categorical parameter, whose scale is the list of its choices.
        value: one that the parameter may have. Of the fractions that mean it, the one in the middle is returned; of a
            logarithmic integer, that of its logarithm.
    """
    if isinstance(parameter, Categorical):
        return (list(parameter.choices).index(value) + 0.5) / parameter.size
    low, high = parameter.low, parameter.high
    if parameter.log:
        if parameter.size is not None:
            low, high = low - 0.5, high + 0.5  # `value_at` gives each integer half a unit on both sides
        # Differences of logarithms, because a quotient of what float64 just holds is beyond it.
        return _clipped((log(value) - log(low)) / (log(high) - log(low)))
    if parameter.size is not None:
        return _clipped((round((value - low) / (parameter.step or 1)) + 0.5) / parameter.size)
    return _clipped((value - low) / (high - low))


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


def _clipped(fraction: float) -> float:
    return min(max(fraction, 0.0), ALMOST_ONE)
