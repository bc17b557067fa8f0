"""Params as points, so that a model may measure distances and draw borders between them.

Knows spaces. Must not know trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from bandstand.strategies.points.fractions import fraction_of
from bandstand_spaces import Categorical, Parameter, SearchSpace

__all__ = ["CubePoints"]

_HALF = sqrt(0.5)
"""A coordinate of a choice that is taken, so that two different choices are one apart."""


class CubePoints:
    """Points of one space.

    A number has one coordinate, its fraction of its own scale. A choice has a coordinate for each thing that may be
    chosen, and one more for its place in order where all are numbers. A parameter that is not active lies in the
    middle of its range, and is none of its choices.
    """

    def __init__(self, space: SearchSpace):
        self._parameters: list[tuple[str, Parameter, list[float] | None]] = []
        for name, parameter, _ in space.flat():
            order = _order_of(parameter) if isinstance(parameter, Categorical) else None
            self._parameters.append((name, parameter, order))

    def point(self, params: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The coordinates of params."""
        found: list[float] = []
        for name, parameter, order in self._parameters:
            if not isinstance(parameter, Categorical):
                found.append(fraction_of(parameter, params[name]) if name in params else 0.5)
                continue
            index = list(parameter.choices).index(params[name]) if name in params else None
            found += [_HALF if index == other else 0.0 for other in range(len(parameter.choices))]
            if order is not None:
                found.append(0.5 if index is None else order[index])
        return np.array(found)


def _order_of(parameter: Categorical) -> list[float] | None:
    """The place of each choice, from 0 to 1, where they are numbers; None where they are not."""
    choices = list(parameter.choices)
    if len(choices) < 2 or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in choices):
        return None
    ranked = sorted(range(len(choices)), key=lambda index: choices[index])
    places = {index: place / (len(choices) - 1) for place, index in enumerate(ranked)}
    return [places[index] for index in range(len(choices))]
