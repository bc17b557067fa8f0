"""Python's plain values as JSON and arrays; `unpacking` is the way back.

Knows the types that are data: a fixed table. Must not know callbacks, nor where the text is kept.

Numbers, texts, true, false, null and lists are themselves in JSON; everything else is an object that says what it `is`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from enum import Enum, Flag
from math import isfinite
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, Protocol

import numpy as np

from bandstand_workers.training.checkpoints.array_file import bytes_of, holds
from bandstand_workers.training.checkpoints.opaque_content import Known, content_of

__all__ = ["FACTORIES", "GROUPS", "WRITTEN", "Occurrences", "Packed", "Surroundings", "is_named_tuple", "pack"]

_DEPTH = 50
_VALUES = 500_000
"""That one attribute may hold, beside lists of numbers; a structure that doubles at each level would never end."""
_LARGE = 1 << 63
"""Python reads no decimal number of more than 4,300 digits, so large ones are hexadecimal."""
_ATOMS = frozenset({bool, str, type(None)})
FACTORIES: Mapping[str, Any] = {"int": int, "float": float, "list": list, "dict": dict, "set": set, "str": str}
"""By name: what a `defaultdict` may fill itself with."""

WRITTEN: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "path": (type(Path()), str, Path),
    "complex": (
        complex,
        lambda value: [repr(value.real), repr(value.imag)],
        lambda v: complex(float(v[0]), float(v[1])),
    ),
    "datetime": (
        datetime,  # ISO 8601 cannot say which of two equal hours is meant, when clocks are set back
        lambda value: [value.isoformat(), value.fold] if value.fold else value.isoformat(),
        lambda v: datetime.fromisoformat(v) if isinstance(v, str) else datetime.fromisoformat(v[0]).replace(fold=v[1]),
    ),
    "date": (date, date.isoformat, date.fromisoformat),
    "timedelta": (timedelta, lambda value: [value.days, value.seconds, value.microseconds], lambda v: timedelta(*v)),
    "range": (range, lambda value: [value.start, value.stop, value.step], lambda v: range(*v)),
}
"""By name: a type of values that a few words say, how it is written, how it is read."""
_NAMES = {kind: name for name, (kind, _, _) in WRITTEN.items()}
GROUPS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
"""By name: types that are made of their items, in whatever order these come."""


class Packed:
    """A value as JSON and arrays. Arrays are those of the value itself, not copies."""

    __slots__ = ("_marks", "arrays", "held", "kind", "obstacle", "text", "tree")

    def __init__(self) -> None:
        self.tree: Any = None
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.obstacle = False
        """Whether something in it is no data: an open file, a function, a layer, one list in two places."""
        self.kind: type | None = None
        """Of which enumeration or named tuple it is, which no text can say."""
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
        if self.text != settled.text or self.kind is not settled.kind or len(self.arrays) != len(settled._marks):
            return False
        return [_mark_of(array) for array in self.arrays] == settled._marks


def _mark_of(array: np.ndarray[Any, Any]) -> bytes:
    return hashlib.sha256(bytes_of(array)).digest()


class Surroundings(Known, Protocol):
    """What must be known of values that are not Python's own."""

    functions: Mapping[str, Any]
    """By name, those that are as good as data."""

    def as_tensor(self, array: np.ndarray[Any, Any]) -> Any:
        """An array as a backend's tensor."""
        ...


class Occurrences:
    """Where lists and arrays are met, to find what is in two places: it would come back as two, where there was one."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[Any, Packed]] = {}  # by address, with what keeps the address theirs
        self._arrays: list[tuple[int, int, int, Packed, Any]] = []

    def is_second(self, value: Any, packed: Packed) -> bool:
        """Whether something that can change was met before. No place of it is data then."""
        entry = (value, packed)
        first = self._lists.setdefault(id(value), entry)
        if first is not entry:
            first[1].obstacle = packed.obstacle = True
        return first is not entry

    def add(self, array: np.ndarray[Any, Any], packed: Packed) -> None:
        """Say where an array was met."""
        if array.size:
            start, end = np.lib.array_utils.byte_bounds(array)
            self._arrays.append((start, end, len(self._arrays), packed, array))

    def compare_arrays(self) -> None:
        """Find arrays that share their memory. To be called when all were met."""
        last: tuple[int, Packed] | None = None
        for start, end, _, packed, _ in sorted(self._arrays) if len(self._arrays) > 1 else ():
            if last is not None and start < last[0]:
                last[1].obstacle = packed.obstacle = True
            if last is None or end > last[0]:
                last = end, packed


def pack(value: Any, surroundings: Surroundings, places: Occurrences) -> Packed:
    """A value as JSON and arrays. Never raises: what cannot be looked at is no data."""
    packed, kind = Packed(), type(value)
    if kind in _ATOMS or (kind is int and -_LARGE < value < _LARGE) or (kind is float and isfinite(value)):
        packed.tree, packed.text = value, f"{kind.__name__} {value!r}"  # quick, as most attributes are such
    else:
        _Packer(packed, surroundings, places).fill(value)
    return packed


class _TooMuchError(Exception):
    """A value is too deep, or holds too many others."""


class _Packer:
    """The packing of one value."""

    def __init__(self, packed: Packed, surroundings: Surroundings, places: Occurrences):
        self._packed = packed
        self._surroundings = surroundings
        self._places = places
        self._left = _VALUES

    def fill(self, value: Any) -> None:
        """Pack it."""
        packed = self._packed
        try:
            packed.tree = self._tree(value, 0)
            packed.text = json.dumps(packed.tree)
        except Exception:  # noqa: BLE001  # too much, or a class of the user's, which may raise anything
            packed.arrays, packed.kind = [], None
            packed.tree = self._opaque(value)
            packed.text = json.dumps(packed.tree)

    def _tree(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._left -= 1
        if kind in (list, tuple, dict, set, frozenset, deque, OrderedDict, defaultdict, Counter):
            return self._group(value, kind, depth)
        if kind in _ATOMS:
            return value
        if kind is float:
            return value if isfinite(value) else {"is": "float", "of": str(value)}
        if kind is int:
            return value if -_LARGE < value < _LARGE else {"is": "int", "of": hex(value)}
        if kind in _NAMES and not (kind is datetime and type(value.tzinfo) not in (type(None), timezone)):
            name = _NAMES[kind]
            return {"is": name, "of": WRITTEN[name][1](value)}
        return self._other(value, kind, depth)

    def _group(self, value: Any, kind: type, depth: int) -> Any:
        if kind not in (tuple, frozenset) and self._places.is_second(value, self._packed):
            return self._same(value)
        if kind is list and _stand_for_themselves(value):
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
        pairs = [[self._tree(key, depth + 1), self._tree(item, depth + 1)] for key, item in value.items()]
        tree: dict[str, Any] = {"is": kind.__name__, "of": pairs}
        if kind is defaultdict:
            factory = value.default_factory
            name = None if factory is None else getattr(factory, "__name__", "")
            if name is not None and FACTORIES.get(name) is not factory:
                return self._opaque(value)
            tree["factory"] = name
        return tree

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if kind is np.ndarray:
            self._places.add(value, self._packed)
            return self._array("array", value)
        if self._surroundings.is_link(value):
            return self._same(value)
        if isinstance(value, Enum) or is_named_tuple(value):
            return self._of_a_class(value, kind, depth)
        if kind in (bytes, bytearray):
            if kind is bytearray and self._places.is_second(value, self._packed):
                return self._same(value)
            return self._array(kind.__name__, np.frombuffer(bytes(value), np.uint8) if value else np.empty(0, np.uint8))
        if isinstance(value, np.generic):
            return self._array("scalar", np.asarray(value)) if type(value) is not np.void else self._opaque(value)
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

    def _of_a_class(self, value: Any, kind: type, depth: int) -> Any:
        """A member of an enumeration, or a named tuple: its class only the callback's own attribute can say."""
        if depth:
            return self._opaque(value)
        self._packed.kind = kind
        if isinstance(value, Flag):
            return {"is": "flag", "of": hex(value.value)}
        if isinstance(value, Enum):
            return {"is": "enum", "of": value.name}
        return {"is": "named tuple", "of": [self._tree(item, depth + 1) for item in value]}

    def _object(self, value: Any, fields: Mapping[str, Any], depth: int) -> Any:
        """What is no data here, since a fresh list has no such object to put its fields into; but it may change."""
        tree = self._same(value)
        if not self._places.is_second(value, self._packed):
            if depth > _DEPTH:
                raise _TooMuchError
            tree["fields"] = {name: self._tree(field, depth + 1) for name, field in fields.items()}
        return tree

    def _array(self, name: str, array: np.ndarray[Any, Any]) -> Any:
        if not holds(array.dtype):
            return self._opaque(array)
        self._packed.arrays.append(array)
        return {"is": name, "of": len(self._packed.arrays) - 1}

    def _same(self, value: Any) -> dict[str, Any]:
        """What is no data, and is told from others as an object."""
        self._packed.obstacle = True
        same = _identity(value)
        self._packed.held.append(same)
        return {"is": "no data", "of": [*map(id, same)]}

    def _opaque(self, value: Any) -> Any:
        """What is no data, and may change though it is the same object."""
        tree = self._same(value)
        tree["content"] = content_of(value, self._surroundings, self._packed.held)
        return tree


def _identity(value: Any) -> list[Any]:
    """What is the same for the same object, and for two functions made by the same code with the same around it."""
    kind = type(value)
    if kind is MethodType:
        return [value.__self__, value.__func__]
    if kind is FunctionType:
        return [value.__code__, *map(_inside, value.__closure__ or ()), *(value.__defaults__ or ())]
    return [value]


def _inside(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty, as after `except … as error`
        return None


def is_named_tuple(value: Any) -> bool:
    """Whether it holds nothing beside its items."""
    kind = type(value)
    return isinstance(value, tuple) and isinstance(getattr(kind, "_fields", None), tuple) and not kind.__dictoffset__


def _stand_for_themselves(values: list[Any]) -> bool:
    """Whether JSON has a list as it is; quick, since lists of losses grow long."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return all(map(isfinite, values))
    return kinds <= _ATOMS or (kinds == {int} and min(values) > -_LARGE and max(values) < _LARGE)
