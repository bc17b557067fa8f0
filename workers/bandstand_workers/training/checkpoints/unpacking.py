"""Python's plain values, read from the JSON and arrays that `plain_data` has made of them.

Makes values of the types in its tables and no others, calls nothing that the text names, and so runs no code of whoever
wrote it. Must not know callbacks, nor where the text is kept.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from enum import Enum, Flag
from typing import Any

import numpy as np

from bandstand_workers.training.checkpoints.plain_data import FACTORIES, GROUPS, WRITTEN, Surroundings, is_named_tuple

__all__ = ["ArraysOnce", "unpack"]

_OF_LISTS = frozenset({*GROUPS, "deque", "named tuple", "dict", "OrderedDict", "Counter", "defaultdict"})


class ArraysOnce:
    """Arrays of which each is taken once, so that nothing becomes larger than its file."""

    def __init__(self, arrays: list[np.ndarray[Any, Any]]):
        """In the order in which text counts them."""
        self._arrays: dict[int, np.ndarray[Any, Any]] = dict(enumerate(arrays))

    def take(self, place: int) -> np.ndarray[Any, Any]:
        """The array at a place.

        Raises:
            KeyError: there is none, or it was taken.
        """
        return self._arrays.pop(place)


def unpack(tree: Any, take: Callable[[int], np.ndarray[Any, Any]], fresh: Any, surroundings: Surroundings) -> Any:
    """The value that `pack` was given.

    Args:
        tree: from JSON.
        take: gives the arrays that it names by their places.
        fresh: the attribute's value in a callback that has just begun; of its class a member of an enumeration, or a
            named tuple, may be.
        surroundings: as those of `pack`.

    Raises:
        Exception: it is nothing that `pack` has made, in whatever way.
    """
    return _Unpacking(take, fresh, surroundings).value_of(tree)


class _Unpacking:
    """The unpacking of one value."""

    def __init__(self, take: Callable[[int], np.ndarray[Any, Any]], fresh: Any, surroundings: Surroundings):
        self._take = take
        self._fresh = fresh
        self._surroundings = surroundings

    def value_of(self, tree: Any) -> Any:
        """What a part of the text stands for."""
        if isinstance(tree, list):
            return [self.value_of(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        kind, of = tree["is"], tree["of"]
        if kind in _OF_LISTS:
            return self._group_of(kind, of, tree)
        if kind in WRITTEN:
            return WRITTEN[kind][2](of)
        if kind in ("enum", "flag"):
            return _like(self._fresh, kind, of)
        if kind == "function":
            return self._surroundings.functions[of]
        if kind == "tensor":
            return self._surroundings.as_tensor(self._take(of))
        return _number_of(kind, of, self._take)

    def _group_of(self, kind: str, of: Any, tree: Mapping[str, Any]) -> Any:
        if not isinstance(of, list):
            raise TypeError(f"a {kind} must be made of a list")
        if kind in GROUPS:
            return GROUPS[kind](self.value_of(item) for item in of)
        if kind == "deque":
            return deque((self.value_of(item) for item in of), tree["most"])
        if kind == "named tuple":
            return _like(self._fresh, kind, [self.value_of(item) for item in of])
        return _mapping_of(kind, [(self.value_of(key), self.value_of(item)) for key, item in of], tree)


def _like(fresh: Any, kind: str, of: Any) -> Any:
    """A value of the class of what it takes the place of."""
    if kind == "named tuple" and is_named_tuple(fresh):
        return type(fresh)._make(of)
    if kind == "flag" and isinstance(fresh, Flag):
        return type(fresh)(int(of, 16))
    if kind == "enum" and isinstance(fresh, Enum):
        return type(fresh)[of]
    raise TypeError(f"a {kind} must take the place of one")


def _mapping_of(kind: str, pairs: list[tuple[Any, Any]], tree: Mapping[str, Any]) -> Any:
    if kind == "OrderedDict":
        return OrderedDict(pairs)
    if kind == "Counter":
        return Counter(dict(pairs))
    if kind == "defaultdict":
        return defaultdict(None if tree["factory"] is None else FACTORIES[tree["factory"]], pairs)
    return dict(pairs)


def _number_of(kind: str, of: Any, take: Callable[[int], np.ndarray[Any, Any]]) -> Any:
    if kind == "float":
        return float(of)
    if kind == "int":
        return int(of, 16)
    array = take(of)
    if kind == "array":
        return array
    if kind == "scalar":
        return array[()]
    if kind in ("bytes", "bytearray"):
        return array.tobytes() if kind == "bytes" else bytearray(array.tobytes())
    raise ValueError(f"no value is {kind!r}")
