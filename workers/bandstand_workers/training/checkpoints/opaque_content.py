"""A digest of what an object holds that is no data, to tell later whether it has changed.

Knows pickle, which it writes and never reads, and which objects are better left alone. Must not know callbacks.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import pickle
from collections.abc import Iterator
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol

__all__ = ["Known", "content_of"]

_BYTES, _VALUES = 1 << 24, 500_000
"""That are looked at; of what is larger, only what comes first."""
_FIXED = type | ModuleType | FunctionType | BuiltinFunctionType | MethodType | Enum
_INSIDES = frozenset(
    {
        *("tensorflow", "keras", "jax", "jaxlib", "ray", "threading", "_thread", "concurrent", "multiprocessing"),
        *("asyncio", "logging", "subprocess", "socket", "ssl", "tempfile", "weakref"),
    }
)
"""Modules whose objects belong to a process, such as a pool of threads: they change, and are no state."""
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_STEPS = itertools.count(1)
"""Numbers of which each is given once."""


class Known(Protocol):
    """What must be known of values that are not Python's own."""

    def is_link(self, value: Any) -> bool:
        """Whether it lives elsewhere."""
        ...

    def as_array(self, value: Any) -> Any:
        """A backend's tensor as an array; None for anything else."""
        ...

    def fields_of(self, value: Any) -> Any:
        """What an object is made of, None where that cannot be told."""
        ...


def content_of(value: Any, known: Known, held: list[Any]) -> str:
    """What is equal as long as an object holds the same; empty for what has no content, such as a function.

    An iterator never holds the same, as it is another one after each step; nor does what answers every question by
    raising.

    Never raises. Calls what the object's class says of how it is pickled.

    Args:
        value: anything.
        known: see there.
        held: is given what the digest knows by its address, which must not become another's.
    """
    try:
        if _stays(value, known):
            return ""
        step = _step(value)
    except Exception:  # noqa: BLE001  # a class of the user's, which may raise anything
        return str(next(_STEPS))
    if step:
        return str(step)
    sink = _Sink()
    writer = _Writer(sink, known, held, value)
    try:
        writer.dump(value)
        told = writer.is_told
    except _TooMuchError:
        return sink.digest()
    except Exception:  # noqa: BLE001  # the same
        told = False
    return sink.digest() if told or type(value) in _CONTAINERS else sink.digest() + _words_of(value)


def _step(value: Any) -> int:
    """A number that never comes again for an iterator; 0 for all else."""
    return next(_STEPS) if isinstance(value, Iterator) and not isinstance(value, io.IOBase) else 0


def _words_of(value: Any) -> str:
    try:
        return hashlib.sha256(repr(value).encode(errors="replace")).hexdigest()
    except Exception:  # noqa: BLE001  # a class of the user's, which may raise anything
        return str(next(_STEPS))


def _stays(value: Any, known: Known) -> bool:
    """Whether it is known by being the same object."""
    if isinstance(value, _FIXED) or str(type(value).__module__).split(".")[0] in _INSIDES:
        return not known.fields_of(value)
    is_file = isinstance(value, io.IOBase) and not isinstance(value, io.StringIO | io.BytesIO)
    return is_file or known.is_link(value)


class _TooMuchError(Exception):
    """A value holds more than is looked at."""


class _Sink:
    """Takes bytes for a digest, up to a bound."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._left = _BYTES

    def write(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        self._hash.update(view[: self._left])
        self._left -= len(view)
        if self._left < 0:
            raise _TooMuchError

    def digest(self) -> str:
        return self._hash.hexdigest()


class _Writer(pickle.Pickler):
    """Writes any object, by its address where it has no content that could be told."""

    def __init__(self, sink: Any, known: Known, held: list[Any], outermost: Any):
        super().__init__(sink, protocol=5)
        self._known, self._held, self._outermost = known, held, outermost
        self._left = _VALUES
        self.is_told = True
        """Whether the content of the outermost object could be told."""

    def reducer_override(self, value: Any) -> Any:
        """How an object is written; see pickle."""
        if value is object:
            return NotImplemented
        self._left -= 1
        if self._left < 0:
            raise _TooMuchError
        try:
            parts = value.__reduce_ex__(5) if value is self._outermost else self._parts_of(value)
        except Exception:  # noqa: BLE001  # a class of the user's, which may raise anything
            parts = None
        if isinstance(parts, tuple):
            return parts
        self.is_told = self.is_told and value is not self._outermost
        return self._by_address(value)

    def _parts_of(self, value: Any) -> Any:
        array = self._known.as_array(value)
        if array is not None:
            return object, (), array
        fields = None if self._known.is_link(value) else self._known.fields_of(value)
        if fields is not None:
            self._held.append(type(value))
            return object, (id(type(value)),), dict(fields)
        if _stays(value, self._known):
            return self._by_address(value)
        step = _step(value)
        return (object, (step,)) if step else value.__reduce_ex__(5)

    def _by_address(self, value: Any) -> tuple[Any, ...]:
        self._held.append(value)
        return object, (id(value),)
