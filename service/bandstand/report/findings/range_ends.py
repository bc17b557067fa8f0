"""Best values at an end of their range, and the wider range to try.

Knows one parameter and one value. Must not know trials.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bandstand.report.text import number
from bandstand_spaces import Categorical, Float, Int, Parameter, Value

__all__ = ["RangeEnd", "range_end_of"]

EDGE = 0.02
"""Share of a range, at each end, within which a best value suggests to look beyond."""


class RangeEnd(NamedTuple):
    """An end that a value lies at."""

    end: str  # lower or upper
    wider: str | None
    """The range to try next; None where there is nothing beyond, such as below 0 for a rate."""


def range_end_of(parameter: Parameter, value: Value) -> RangeEnd | None:
    """The end of the range that `value` lies at; None for choices, and where it lies within."""
    if isinstance(parameter, Categorical):
        return None
    low, high, here = (_scaled(float(each), parameter.log) for each in (parameter.low, parameter.high, float(value)))
    share = (here - low) / (high - low)
    if EDGE < share < 1 - EDGE:
        return None
    return RangeEnd("lower" if share <= EDGE else "upper", _wider(parameter, share <= EDGE))


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def _wider(parameter: Float | Int, below: bool) -> str | None:
    """Half of the range more on that side, on the range's own scale; a fraction stays one."""
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        factor = math.sqrt(high / low)
        # A round power of ten or two reads better, and a range is a guess anyway.
        factor = 10.0 ** max(1, int(math.log10(factor) + 1e-9)) if factor >= 5 else 2.0
        low, high = (low / factor, high) if below else (low, high * factor)
    else:
        more = (high - low) / 2
        if below:
            low = max(0.0, low - more) if low >= 0 else low - more
        else:
            # From 0 to at most 1 is taken for a fraction, such as a dropout rate or a momentum.
            is_fraction = isinstance(parameter, Float) and low >= 0 and high <= 1 < high + more
            high = (1 + high) / 2 if is_fraction else high + more
    if isinstance(parameter, Int):
        low, high = _whole(parameter, low, high)
    if (low, high) == (float(parameter.low), float(parameter.high)):
        return None
    return f"{number(low)} to {number(high)}{', logarithmic' if parameter.log else ''}"


def _whole(parameter: Int, low: float, high: float) -> tuple[float, float]:
    """Bounds on the parameter's own grid; a count stays at least 1."""
    step = 1 if parameter.log else parameter.step or 1
    low = parameter.low - step * math.ceil((parameter.low - low) / step)
    high = parameter.high + step * math.ceil((high - parameter.high) / step)
    return (max(low, 1.0) if parameter.low >= 1 else low), high
