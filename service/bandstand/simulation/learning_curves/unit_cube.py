"""Params as points of the unit cube.

Knows how a value lies in its parameter's range. Must not know what is done with it.
"""

from __future__ import annotations

from math import log
from typing import Any

from bandstand_spaces import Categorical, Parameter

__all__ = ["fraction_of"]


def fraction_of(parameter: Parameter, value: Any) -> float:
    """Where `value` lies in the range, from 0 to 1: of the logarithm where the parameter is logarithmic.

    A choice lies in the middle of its share.
    """
    if isinstance(parameter, Categorical):
        return (list(parameter.choices).index(value) + 0.5) / parameter.size
    if parameter.log:
        return log(value / parameter.low) / log(parameter.high / parameter.low)
    return float((value - parameter.low) / (parameter.high - parameter.low))
