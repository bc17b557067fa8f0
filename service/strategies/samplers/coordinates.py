"""A search space in coordinates: each parameter as a fraction of its range, each point as one walk down the tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from search_spaces import Categorical, FlatParameter, Int, Parameter, Value

__all__ = ["fraction_of", "params_from", "value_at"]

_BELOW_ONE = math.nextafter(1.0, 0.0)


def value_at(parameter: Parameter, fraction: float) -> Value:
    """The parameter's value at a fraction of its range; fractions beyond [0, 1) stand for the ends."""
    # A plain float: with one of NumPy's the value would be one, too, and come back from JSON as another type.
    return parameter.value_at(min(max(float(fraction), 0.0), _BELOW_ONE))


def fraction_of(parameter: Parameter, value: Any) -> float:
    """Where in the parameter's range a value of it lies, from 0 to 1: what `value_at` turns into that value again.

    Of the fractions that mean the same value, the one in the middle; of a logarithmic integer, its logarithm's.
    """
    if isinstance(parameter, Categorical):
        return (list(parameter.choices).index(value) + 0.5) / parameter.size
    if isinstance(parameter, Int) and parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)  # as in Int.value_at
        return float((math.log(value) - low) / (high - low))
    if parameter.size is not None:
        step = parameter.step or 1
        return float((round((value - parameter.low) / step) + 0.5) / parameter.size)
    if parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        return float((math.log(value) - low) / (high - low))
    return float((value - parameter.low) / (parameter.high - parameter.low))


def params_from(space: Sequence[FlatParameter], choose: Callable[[str, Parameter], Value]) -> dict[str, Value]:
    """Params of a space given flat; `choose` is asked for each active parameter, in definition order."""
    params: dict[str, Value] = {}
    for name, parameter, condition in space:
        if all(parent in params and params[parent] == choice for parent, choice in condition):
            params[name] = choose(name, parameter)
    return params
