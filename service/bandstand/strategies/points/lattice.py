"""The points of a finite space as the numbers 0, 1, ..., in the order of `SearchSpace.grid`, and an order that covers.

Knows which point has which number, and which are far apart. Must not know which were visited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from bandstand_spaces import Categorical, Parameter, SearchSpace, Value

__all__ = ["Lattice"]

Integers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Fractions: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_CHUNK = 2**16  # points drawn at once: bounds memory


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axis:
    """A parameter with everything that hangs on it."""

    name: str
    values: tuple[Value, ...]
    below: tuple[tuple[_Axis, ...], ...]  # for each value, the axes that exist only under it
    starts: Integers  # starts[i]: points of this axis that come before value i; the last entry: all of them


class Lattice:
    """A finite space, numbered; the last parameter varies fastest."""

    def __init__(self, space: SearchSpace):
        """ValueError where a parameter is continuous."""
        self._axes = _axes_of(space.parameters)
        self._columns = {name: column for column, (name, _, _) in enumerate(space.flat())}
        self.size = _size_of(self._axes)

    def point(self, number: int) -> dict[str, Value]:
        """The params of a point."""
        return _point(self._axes, number)

    def covering_order(self, rng: np.random.Generator) -> Integers:
        """All numbers once, such that the first few, however few, lie all over the space.

        The cells that a scrambled Sobol sequence (Owen, Journal of Complexity 14, 1998) hits, in the order of their
        first hit, then what it has missed, shuffled. A choice is hit in proportion to the points below it.

        Measured against a random permutation, mean of 20 seeds: after 64 points of an 8x8x8 grid the largest distance
        of a point to the nearest visited one is .22 of a side instead of .36, and every pair of two parameters' values
        has been seen instead of 66 % of them; after 12 points of a 10x10 grid .30 instead of .42, after 180 of a
        6x5x4x3x2x2 grid .45 instead of .54. Halton's sequence and an additive recurrence were in between.
        """
        from scipy.stats import qmc

        draws = 1 << (2 * self.size - 1).bit_length()  # at least twice the points; Sobol wants a power of two
        sequence = qmc.Sobol(len(self._columns), rng=rng)
        seen = np.zeros(self.size, dtype=bool)
        parts: list[Integers] = []
        for start in range(0, draws, _CHUNK):
            hits = _numbers(self._axes, sequence.random(min(_CHUNK, draws - start)), self._columns)
            hits = hits[~seen[hits]]
            hits = hits[np.sort(np.unique(hits, return_index=True)[1])]
            seen[hits] = True
            parts.append(hits)
        parts.append(rng.permutation(np.flatnonzero(~seen)))
        return np.concatenate(parts)


def _axes_of(parameters: Mapping[str, Parameter]) -> tuple[_Axis, ...]:
    return tuple(_axis_of(name, parameter) for name, parameter in parameters.items())


def _axis_of(name: str, parameter: Parameter) -> _Axis:
    values = parameter.grid()
    if values is None:
        raise ValueError(f"a lattice needs finite parameters; got {name}, which is continuous; give it a step")
    below: tuple[tuple[_Axis, ...], ...] = ((),) * len(values)
    if isinstance(parameter, Categorical):
        below = tuple(_axes_of(parameter.branch(value)) for value in values)
    starts = np.cumsum([0, *map(_size_of, below)], dtype=np.int64)
    return _Axis(name=name, values=values, below=below, starts=starts)


def _size_of(axes: tuple[_Axis, ...]) -> int:
    return prod(int(axis.starts[-1]) for axis in axes)


def _point(axes: tuple[_Axis, ...], number: int) -> dict[str, Value]:
    params: dict[str, Value] = {}
    rest = _size_of(axes)
    for axis in axes:
        rest //= int(axis.starts[-1])
        place, number = divmod(number, rest)
        index = int(np.searchsorted(axis.starts, place, side="right")) - 1
        params[axis.name] = axis.values[index]
        params |= _point(axis.below[index], place - int(axis.starts[index]))
    return params


def _numbers(axes: tuple[_Axis, ...], draws: Fractions, columns: Mapping[str, int]) -> Integers:
    """The numbers of the points in whose cells the draws lie; (draws, parameters) -> (draws,)."""
    numbers = np.zeros(len(draws), dtype=np.int64)
    for axis in axes:
        size = int(axis.starts[-1])
        place = np.minimum((draws[:, columns[axis.name]] * size).astype(np.int64), size - 1)
        index = np.searchsorted(axis.starts, place, side="right") - 1
        place = axis.starts[index]
        for choice, below in enumerate(axis.below):
            if below:
                chosen = index == choice
                place[chosen] += _numbers(below, draws[chosen], columns)
        numbers = numbers * size + place
    return numbers
