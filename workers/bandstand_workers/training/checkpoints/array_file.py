"""Arrays as one block of bytes, and back, bit by bit: safetensors, and what that has no type for.

Knows NumPy's types and safetensors. Must not know what the arrays are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

__all__ = ["ArrayFile", "Spec", "arrays_from", "bytes_of", "holds", "is_count", "parsed", "take_array", "text_of"]

Array = np.ndarray[Any, Any]
Spec = str | list[Any]
"""How text names an array of the block: its name, or [name, type, shape] where safetensors has no such type."""

_TYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(bool),
    "I8": np.dtype("<i1"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("<u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_NATIVE = frozenset(_TYPES.values())
_SMALL: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(getattr(ml_dtypes, name))
    for name in (
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e4m3",
        "float8_e4m3b11fnuz",
        "float8_e5m2fnuz",
        "int4",
        "uint4",
    )
}
_KINDS = "?biufcUSMm"
"""NumPy's kinds that hold nothing but their own bits: no objects, no records."""


class ArrayFile:
    """Arrays that are to become a block of bytes; nothing is copied before that."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def add(self, array: Array, name: str) -> Spec:
        """Put an array in; returns what text says of it.

        Raises:
            ValueError: it holds more than its own bits, such as Python's objects.
        """
        if array.dtype in _NATIVE and array.dtype.isnative:
            self._arrays[name] = np.asarray(array, order="C")
            return name
        written = array.dtype.name if array.dtype.name in _SMALL else array.dtype.str
        _type_named(written)
        self._arrays[name] = np.frombuffer(array.tobytes(), np.uint8)
        return [name, written, list(array.shape)]

    def block(self, text: str) -> bytes:
        """All arrays as bytes, `text` among them."""
        return safetensors.numpy.save(self._arrays, metadata={"bandstand": text})


def holds(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of a type can be put in."""
    if dtype in _NATIVE or dtype.name in _SMALL:
        return True
    return _is_plain(dtype)


def bytes_of(array: Array) -> bytes:
    """What tells an array from others: its type, its shape and its bits."""
    return f"{array.dtype.name} {array.dtype.str} {array.shape} ".encode() + array.tobytes()


def arrays_from(block: bytes) -> dict[str, Array]:
    """The arrays of a block by name, as they lie there; they may be written to.

    Raises:
        Exception: the block is none, in whatever way.
    """
    found = {}
    for name, entry in safetensors.deserialize(block):  # type: ignore[no-untyped-call]  # its stub has no types
        data = entry["data"]
        writable = data if isinstance(data, bytearray) else bytearray(data)
        found[name] = np.frombuffer(writable, _TYPES[entry["dtype"]]).reshape(entry["shape"])
    return found


def text_of(block: bytes) -> str:
    """The text of a block.

    Raises:
        Exception: the block is none, in whatever way.
    """
    length = int.from_bytes(block[:8], "little")
    if length > len(block) - 8:
        raise ValueError("its header is longer than the file")
    text = parsed(block[8 : 8 + length])["__metadata__"]["bandstand"]
    if not isinstance(text, str):
        raise TypeError("its text is no text")
    return text


def parsed(text: str | bytes) -> Any:
    """What JSON says, in which each key of an object stands once, and numbers are finite.

    Raises:
        Exception: it is none such.
    """
    return json.loads(text, object_pairs_hook=_object_of, parse_constant=_no_number)


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON's")


def take_array(spec: Any, arrays: dict[str, Array]) -> Array:
    """The array that text names, taken out of `arrays`: nothing else may name it.

    Raises:
        Exception: there is none such.
    """
    if isinstance(spec, str):
        return arrays.pop(spec)
    name, written, shape = spec
    if not isinstance(written, str) or not isinstance(shape, list) or not all(map(is_count, shape)):
        raise TypeError("an array must have a type and a shape")
    return np.frombuffer(arrays.pop(name).data, _type_named(written)).reshape(shape)


def is_count(number: Any) -> bool:
    """Whether something is an integer that is not negative, and no larger than what may be counted."""
    return type(number) is int and 0 <= number < 1 << 63


def _type_named(name: str) -> np.dtype[Any]:
    if name in _SMALL:
        return _SMALL[name]
    dtype = np.dtype(name)
    if not _is_plain(dtype):
        raise ValueError(f"an array must hold numbers or texts; got {name}")
    return dtype


def _is_plain(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in _KINDS and not dtype.hasobject and dtype.fields is None and bool(dtype.itemsize)
