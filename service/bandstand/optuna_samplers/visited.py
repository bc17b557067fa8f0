"""`Visited`: the points that trials have, and new ones as long as any are left.

Random points are new until few are left. From then on a tree knows where: a level for each parameter of the box, in
whose nodes is written what is used up below them. A new point is found by one walk down, and a visited one entered by
another, however many points there are; a list of what is left would be as long as the space is large.

Where a parameter is inactive a trial has no value of it. Such a trial lies at every value, as far as the box can tell
that is not told the conditions, and uses up all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bandstand.optuna_samplers.box import Box

__all__ = ["Visited"]

_DRAWS = 64
_MANY = 2**62
"""Values that are told apart where no trial has been."""


class Visited:
    """The points that trials have, whatever became of them."""

    def __init__(self, params: Iterable[Mapping[str, Any]], box: Box):
        """Only parameters of the box make a point; a trial that has none of them has none."""
        self._box = box
        self._points: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
        self._tree = _Node()
        self._outside: list[Mapping[str, Any]] = []  # of the tree, which few studies need
        for point in params:
            self.add(point)

    def add(self, params: Mapping[str, Any]) -> None:
        """Take note of a trial."""
        known = {name: value for name, value in params.items() if name in self._box.names}
        if known:
            self._points.setdefault(tuple(known), set()).add(tuple(known.values()))
            self._outside.append(known)

    def __contains__(self, params: object) -> bool:
        """Whether a trial has all its params from these; what these have beside them was inactive there."""
        return isinstance(params, Mapping) and any(
            all(name in params for name in names) and tuple(params[name] for name in names) in points
            for names, points in self._points.items()
        )

    def new_point(self, rng: np.random.Generator) -> dict[str, Any]:
        """A random point of the box that no trial has, or any random one if none is left."""
        for _ in range(_DRAWS):
            params = self._box.params(rng.random(len(self._box.names)))
            if params not in self:
                return params
        for point in self._outside:
            places = self._box.places(point)
            if places is not None:
                self._tree.enter(places, self._box.sizes)
        self._outside.clear()
        left = self._left([self._tree], {}, 0, rng)
        return params if left is None else left

    def _left(
        self, nodes: Sequence[_Node], above: Mapping[str, Any], level: int, rng: np.random.Generator
    ) -> dict[str, Any] | None:
        """A point that begins with the values `above` and is none of those below `nodes`; None if there is none."""
        if any(node.is_full for node in nodes):
            return None
        if not nodes:
            return self._box.completed(above, rng.random(len(self._box.names) - level))
        name = self._box.names[level]
        anywhere = [node.below[None] for node in nodes if None in node.below]
        tried = {place for node in nodes for place in node.below if place is not None}
        if not self._box.is_active(name, above):
            return self._left(anywhere, above, level + 1, rng)
        if not tried:
            return self._left(anywhere, {**above, name: self._box.value(name, rng.random())}, level + 1, rng)
        for place in _places(tried, nodes, self._box.sizes[level], rng):
            there = [node.below[place] for node in nodes if place in node.below]
            value = self._box.value_at(name, place)
            left = self._left(anywhere + there, {**above, name: value}, level + 1, rng)
            if left is not None:
                return left
        return None


class _Node:
    """The visited points that are alike in the first parameters."""

    __slots__ = ("below", "full_below", "is_full")

    def __init__(self) -> None:
        self.below: dict[int | None, _Node] = {}
        """By the place of the next parameter's value; None where the points have no value of it."""
        self.full_below = 0
        self.is_full = False
        """Whether nothing is left here."""

    def enter(self, places: Sequence[int | None], sizes: Sequence[float]) -> None:
        """Take note of a point, by the places of its remaining values."""
        if all(place is None for place in places):
            self.is_full = True
        if self.is_full:
            return
        node = self.below.setdefault(places[0], _Node())
        was_full = node.is_full
        node.enter(places[1:], sizes[1:])
        if node.is_full and not was_full:
            self.full_below += places[0] is not None
            self.is_full = places[0] is None or self.full_below == sizes[0]


def _places(tried: set[int], nodes: Sequence[_Node], size: float, rng: np.random.Generator) -> list[int]:
    """Places of a parameter's values below which something may be left, in random order.

    Of the values that no trial has one is enough: if nothing is left below it, nothing is left below any.
    """
    places = [place for place in tried if not any(place in node.below and node.below[place].is_full for node in nodes)]
    if len(tried) < size:
        untried = int(rng.integers(int(min(size - len(tried), _MANY))))
        for place in sorted(tried):
            untried += place <= untried
        places.append(untried)
    return [places[index] for index in rng.permutation(len(places))]
