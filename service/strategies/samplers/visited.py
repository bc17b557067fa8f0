"""The points of a space that a study has proposed, and random ones that it has not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces import SearchSpace

__all__ = ["Visited"]

_TRIES = 100


class Visited:
    """A set of params."""

    def __init__(self, space: SearchSpace):
        self._space = space
        self._keys: set[str] = set()

    def __contains__(self, params: Mapping[str, Any]) -> bool:
        return _key(params) in self._keys

    def add(self, params: Mapping[str, Any]) -> None:
        """Take note of a point."""
        self._keys.add(_key(params))

    def new_point(self, draw: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """A point that is not in here, where the space has one left, else any.

        Args:
            draw: gives a random point; where it keeps giving known ones, the first new point of a finite space's grid
                is taken.
        """
        for _ in range(_TRIES):
            params = draw()
            if params not in self:
                return params
        if self._space.size is None or len(self._keys) >= self._space.size:
            return params
        return next(point for point in self._space.grid() if point not in self)  # passes at most the known ones


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(dict(params), sort_keys=True)
