"""The points of a space that a study has proposed, and random ones that it has not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bandstand_spaces import SearchSpace

__all__ = ["Visited"]

_TRIES = 100


class Visited:
    """Params, and how often each of them was proposed. What is in here stays."""

    def __init__(self, space: SearchSpace):
        self._space = space
        self._size = space.size
        self._times: Counter[str] = Counter()
        self._rest: Iterator[Mapping[str, Any]] | None = None  # of the grid: the points before it are all in here
        self._candidate: Mapping[str, Any] = {}

    def __contains__(self, params: Mapping[str, Any]) -> bool:
        return _key(params) in self._times

    @property
    def is_full(self) -> bool:
        """Whether every point of a finite space is in here."""
        return self._size is not None and len(self._times) >= self._size

    def add(self, params: Mapping[str, Any]) -> None:
        """Take note of a proposal."""
        self._times[_key(params)] += 1

    def times(self, params: Mapping[str, Any]) -> int:
        """How often this point was proposed."""
        return self._times[_key(params)]

    def new_point(self, draw: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """A point that is not in here, where the space has one left, else any.

        Args:
            draw: gives a random point; where it keeps giving known ones, the first new point of a finite space's grid
                is taken.
        """
        if self.is_full:
            return draw()
        for _ in range(_TRIES):
            params = draw()
            if params not in self:
                return params
        return params if self._size is None else self._first_new_point()

    def _first_new_point(self) -> Mapping[str, Any]:
        """Of the grid. Each point is passed once in the life of this object, because none ever leaves it."""
        if self._rest is None:
            self._rest = self._space.grid()
            self._candidate = next(self._rest)
        while self._candidate in self:
            self._candidate = next(self._rest)
        return self._candidate


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(dict(params), sort_keys=True)
