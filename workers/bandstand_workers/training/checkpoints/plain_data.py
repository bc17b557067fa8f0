"""Python's plain values as JSON and arrays, and back.

Knows the types that are data: a fixed table. What reads them makes values of these types and no others, calls nothing
that the text names, and so runs no code of whoever wrote it. Must not know callbacks, nor where the text is kept.

Numbers, texts, true, false, null and lists are themselves in JSON; everything else is an object that says what it `is`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from io import IOBase
from math import isfinite
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, Protocol

import numpy as np

from bandstand_workers.training.checkpoints.array_file import bytes_of

__all__ = ["Packed", "Surroundings", "pack", "unpack"]

_DEPTH = 50
_VALUES = 500_000
"""That one attribute may hold, beside lists of numbers; a structure that doubles at each level would never end."""
_LARGE = 1 << 63
"""Python reads no decimal number of more than 4,300 digits, so large ones are hexadecimal."""
_ATOMS = frozenset({bool, str, type(None)})
_FACTORIES: Mapping[str, Any] = {"int": int, "float": float, "list": list, "dict": dict, "set": set, "str": str}

_WRITTEN: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "path": (type(Path()), str, Path),
    "complex": (
        complex,
        lambda value: [repr(value.real), repr(value.imag)],
        lambda v: complex(float(v[0]), float(v[1])),
    ),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "timedelta": (timedelta, lambda value: [value.days, value.seconds, value.microseconds], lambda v: timedelta(*v)),
    "range": (range, lambda value: [value.start, value.stop, value.step], lambda v: range(*v)),
}
"""By name: a type of values that a few words say, how it is written, how it is read."""
_NAMES = {kind: name for name, (kind, _, _) in _WRITTEN.items()}
_GROUPS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


class Packed:
    """A value as JSON and arrays. Arrays are those of the value itself, not copies."""

    __slots__ = ("_marks", "arrays", "enum", "held", "obstacle", "only_links", "text", "tree")

    def __init__(self) -> None:
        self.tree: Any = None
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.obstacle = False
        """Whether something in it is no data: an open file, a function, one list in two places."""
        self.only_links = False
        """Whether it consists of links, as a list of layers does."""
        self.enum: type | None = None
        """Of which enumeration it is, where it is a member of one."""
        self.text = ""
        """Equal for equal values, but for the arrays'."""
        self._marks: list[bytes] = []
        self.held: list[Any] = []
        """What `text` knows by its address, which must not become another's."""

    def settle(self) -> None:
        """Remember what it is now, whatever becomes of its arrays; they are let go."""
        self._marks = [_mark_of(array) for array in self.arrays]
        self.arrays = []

    def equals(self, settled: Packed) -> bool:
        """Whether it is what another one was, bit by bit; what is no data is, where it is the same object."""
        if self.text != settled.text or self.enum is not settled.enum or len(self.arrays) != len(settled._marks):
            return False
        return [_mark_of(array) for array in self.arrays] == settled._marks


def _mark_of(array: np.ndarray[Any, Any]) -> bytes:
    return hashlib.sha256(bytes_of(array)).digest()


class Surroundings(Protocol):
    """What must be known of values that are not Python's own."""

    functions: Mapping[str, Any]
    """By name, those that are as good as data."""

    def is_link(self, value: Any) -> bool:
        """Whether something is not part of the value, but points to what lives elsewhere, such as a layer."""
        ...

    def as_array(self, value: Any) -> Any:
        """A backend's tensor as an array; None for anything else."""
        ...

    def as_tensor(self, array: np.ndarray[Any, Any]) -> Any:
        """An array as a backend's tensor."""
        ...

    def fields_of(self, value: Any) -> Mapping[str, Any] | None:
        """What an object is made of, None where that cannot be told; such an object is no data."""
        ...


def pack(value: Any, surroundings: Surroundings) -> Packed:
    """A value as JSON and arrays."""
    packed, kind = Packed(), type(value)
    if kind in _ATOMS or (kind is int and -_LARGE < value < _LARGE) or (kind is float and isfinite(value)):
        packed.tree, packed.text = value, f"{kind.__name__} {value!r}"  # quick, as most attributes are such
    else:
        _Packer(packed, surroundings).fill(value)
    return packed


class _TooMuchError(Exception):
    """A value is too deep, or holds too many others."""


class _Packer:
    """The packing of one value."""

    def __init__(self, packed: Packed, surroundings: Surroundings):
        self._packed = packed
        self._surroundings = surroundings
        self._met: dict[int, Any] = {}  # lists and the like, by address, with what keeps the address theirs
        self._left = _VALUES
        self._leaves = self._links = 0

    def fill(self, value: Any) -> None:
        """Pack it."""
        packed = self._packed
        try:
            packed.tree = self._tree(value, 0)
        except _TooMuchError:
            packed.arrays, self._links = [], 0
            packed.tree = self._opaque(value)
        packed.enum = type(value) if isinstance(value, Enum) else None
        packed.only_links = 0 < self._links == self._leaves
        if self._links and not packed.only_links:
            packed.obstacle = True
        packed.text = json.dumps(packed.tree)

    def _tree(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._left -= 1
        if kind in (list, tuple, dict, set, frozenset, deque, OrderedDict, defaultdict, Counter):
            return self._group(value, kind, depth)
        self._leaves += 1
        if kind in _ATOMS:
            return value
        if kind is float:
            return value if isfinite(value) else {"is": "float", "of": str(value)}
        if kind is int:
            return value if -_LARGE < value < _LARGE else {"is": "int", "of": hex(value)}
        if kind in _NAMES:
            name = _NAMES[kind]
            return {"is": name, "of": _WRITTEN[name][1](value)}
        return self._other(value, kind, depth)

    def _group(self, value: Any, kind: type, depth: int) -> Any:
        if kind not in (tuple, frozenset):
            if id(value) in self._met:
                return self._opaque(value)  # in two places: what comes back would be two lists, where there was one
            self._met[id(value)] = value
        if kind is list and _stand_for_themselves(value):
            self._leaves += len(value)
            return list(value)
        if depth > _DEPTH or self._left < len(value):
            raise _TooMuchError
        if kind in (dict, OrderedDict, defaultdict, Counter):
            return self._mapping(value, kind, depth)
        items = [self._tree(item, depth + 1) for item in value]
        if kind is list:
            return items
        if kind is deque:
            return {"is": "deque", "of": items, "most": value.maxlen}
        if kind in (set, frozenset):
            items.sort(key=json.dumps)
        return {"is": kind.__name__, "of": items}

    def _mapping(self, value: Any, kind: type, depth: int) -> Any:
        # A key is no leaf: a dict of layers by name consists of links all the same.
        leaves = self._leaves
        keys = [self._tree(key, depth + 1) for key in value]
        self._leaves = leaves
        pairs = [[key, self._tree(item, depth + 1)] for key, item in zip(keys, value.values(), strict=True)]
        tree: dict[str, Any] = {"is": kind.__name__, "of": pairs}
        if kind is defaultdict:
            factory = value.default_factory
            name = None if factory is None else getattr(factory, "__name__", "")
            if name is not None and _FACTORIES.get(name) is not factory:
                return self._opaque(value)
            tree["factory"] = name
        return tree

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if self._surroundings.is_link(value):
            self._links += 1
            return {"is": "link"}
        if isinstance(value, Enum):
            if depth:  # which enumeration it is of, only the callback's own attribute can say
                self._packed.obstacle = True
            return {"is": "enum", "of": value.name}
        if kind in (bytes, bytearray):
            return self._array(kind.__name__, np.frombuffer(bytes(value), np.uint8) if value else np.empty(0, np.uint8))
        if isinstance(value, np.generic):
            return self._array("scalar", np.asarray(value)) if type(value) is not np.void else self._opaque(value)
        if kind is np.ndarray:
            return self._array("array", value)
        for name, function in self._surroundings.functions.items():
            if value is function:
                return {"is": "function", "of": name}
        fields = self._surroundings.fields_of(value)
        if fields is not None:
            return self._object(value, fields, depth)
        array = self._surroundings.as_array(value)
        if array is not None:
            return self._array("tensor", array)
        return self._opaque(value)

    def _object(self, value: Any, fields: Mapping[str, Any], depth: int) -> Any:
        """What is no data here, since a fresh list has no such object to put its fields into; but it may change."""
        opaque = self._opaque(value)
        if id(value) not in self._met and depth <= _DEPTH:
            self._met[id(value)] = value, fields
            opaque["fields"] = {name: self._tree(field, depth + 1) for name, field in fields.items()}
        return opaque

    def _array(self, name: str, array: np.ndarray[Any, Any]) -> Any:
        if array.dtype.hasobject or array.dtype.fields is not None or not array.dtype.itemsize:
            return self._opaque(array)
        self._packed.arrays.append(array)
        return {"is": name, "of": len(self._packed.arrays) - 1}

    def _opaque(self, value: Any) -> Any:
        """What is no data. An iterator is another one after each step, though it is the same object."""
        self._packed.obstacle = True
        same = _identity(value)
        self._packed.held.append(same)
        steps = isinstance(value, Iterator) and not isinstance(value, IOBase)
        return {"is": "no data", "of": [*map(id, same), id(self) if steps else 0]}


def _identity(value: Any) -> list[Any]:
    """What is the same for the same object, and for two functions made by the same code with the same around it."""
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, FunctionType):
        around = inspect.getclosurevars(value).nonlocals.values()
        return [value.__code__, *around, *(value.__defaults__ or ())]
    return [value]


def _stand_for_themselves(values: list[Any]) -> bool:
    """Whether JSON has a list as it is; quick, since lists of losses grow long."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return all(map(isfinite, values))
    return kinds <= _ATOMS or (kinds == {int} and min(values) > -_LARGE and max(values) < _LARGE)


def unpack(tree: Any, arrays: list[np.ndarray[Any, Any]], fresh: Any, surroundings: Surroundings) -> Any:
    """The value that `pack` was given.

    Args:
        tree: from JSON.
        arrays: that it names by their places.
        fresh: the attribute's value in a callback that has just begun; of its enumeration a member may be.
        surroundings: as those of `pack`.

    Raises:
        Exception: it is nothing that `pack` has made, in whatever way.
    """

    def value_of(tree: Any) -> Any:
        if isinstance(tree, list):
            return [value_of(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        kind, of = tree["is"], tree["of"]
        if kind in _GROUPS:
            return _GROUPS[kind](value_of(item) for item in of)
        if kind in ("dict", "OrderedDict", "Counter", "defaultdict"):
            return _mapping_of(kind, [(value_of(key), value_of(item)) for key, item in of], tree)
        if kind == "deque":
            return deque((value_of(item) for item in of), tree["most"])
        if kind in _WRITTEN:
            return _WRITTEN[kind][2](of)
        if kind == "enum":
            if not isinstance(fresh, Enum):
                raise TypeError("a member of an enumeration must take the place of one")
            return type(fresh)[of]
        if kind == "function":
            return surroundings.functions[of]
        if kind == "tensor":
            return surroundings.as_tensor(arrays[of])
        return _number_of(kind, of, arrays)

    return value_of(tree)


def _mapping_of(kind: str, pairs: list[tuple[Any, Any]], tree: Mapping[str, Any]) -> Any:
    if kind == "OrderedDict":
        return OrderedDict(pairs)
    if kind == "Counter":
        return Counter(dict(pairs))
    if kind == "defaultdict":
        return defaultdict(None if tree["factory"] is None else _FACTORIES[tree["factory"]], pairs)
    return dict(pairs)


def _number_of(kind: str, of: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if kind == "float":
        return float(of)
    if kind == "int":
        return int(of, 16)
    array = arrays[of]
    if kind == "array":
        return array
    if kind == "scalar":
        return array[()]
    if kind in ("bytes", "bytearray"):
        return array.tobytes() if kind == "bytes" else bytearray(array.tobytes())
    raise ValueError(f"no value is {kind!r}")
