"""The fingerprint of loaded data: by split, for each array its type, shape, a digest and a sketch.

Knows arrays. Must not know studies, nor what follows from a difference.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bandstand.trials.data_fingerprint import ArrayPrint, DataPrint

__all__ = ["PARTS", "fingerprint", "named_arrays"]

PARTS = ("x", "y", "sample_weight")
"""What the arrays of a split are, in their order."""

_WHOLE = 2**28
"""Bytes of an array up to which all of it is read."""
_BLOCK = 2**16
_BLOCKS = 2**12
_SUMS = 16
_CHUNK = 2**20
"""Values that are sketched at a time."""
_SIGNIFICANT = 1e-5
"""Of a column's size (its root mean square), which rounding in single precision does not reach."""


def fingerprint(data: Mapping[str, tuple[Any, ...]]) -> DataPrint:
    """The fingerprint of every split.

    Of an array above 256 MiB 4,096 evenly spaced blocks of 64 KiB are read, the first and the last among them, so that
    a study does not wait for its fingerprint.
    """
    return {split: [_array_print(name, array) for name, array in named_arrays(parts)] for split, parts in data.items()}


def named_arrays(parts: tuple[Any, ...]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays of a split with their names: x, y, sample_weight; x.age of a structure."""
    import keras

    for part, content in zip(PARTS, parts, strict=False):
        for path, array in keras.tree.flatten_with_path(content):
            yield ".".join([part, *map(str, path)]), array


def _array_print(name: str, array: np.ndarray[Any, Any]) -> ArrayPrint:
    digest = hashlib.sha256()
    _update(digest, array)
    sketch = _sketch(array) if array.dtype.kind == "f" else []
    tolerance = 0.0
    if sketch:
        columns = max(1, math.prod(array.shape[1:]))
        tolerance = max(_SIGNIFICANT, 4 * float(np.finfo(array.dtype).eps)) * math.sqrt(columns)
    return ArrayPrint(
        name=name, type=array.dtype.str, shape=list(array.shape), digest=digest.hexdigest()[:16], sketch=sketch,
        tolerance=tolerance,
    )  # fmt: skip


def _update(digest: Any, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.kind in "OT":
        digest.update("\x1f".join(map(repr, array.ravel().tolist())).encode())
        return
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if content.nbytes <= _WHOLE:
        digest.update(content)
        return
    for start in np.linspace(0, content.nbytes - _BLOCK, _BLOCKS).astype(np.int64):
        digest.update(content[start : start + _BLOCK])


def _sketch(array: np.ndarray[Any, Any]) -> list[float]:
    """Sums over all values, each with a random sign and divided by the Euclidean norm of its column.

    The mean square of the differences of two arrays' sums estimates the squared norm of the difference of the arrays
    (Alon, Matias, Szegedy 1996): so it tells rounding, which is small everywhere, from one value that is another. It
    needs no grid to round to, at whose borders equal values would part. What is not finite counts as 0; the last number
    says where that is.
    """
    rows = array.reshape(len(array), -1)
    step = max(1, math.ceil(array.nbytes / _WHOLE))
    rows = rows[::step]
    chunks = max(1, _CHUNK // max(1, rows.shape[1]))
    starts = range(0, len(rows), chunks)
    squares, holes = np.zeros(rows.shape[1]), hashlib.sha256()
    for start in starts:
        squares += np.square(_without_holes(rows[start : start + chunks])).sum(axis=0)
        holes.update(np.packbits(np.isfinite(rows[start : start + chunks])).tobytes())
    scale = 1.0 / np.where(squares > 0, np.sqrt(squares), 1.0)
    of_columns = _signs(0, rows.shape[1]) * scale
    sums = np.zeros(_SUMS)
    for start in starts:
        chunk = _without_holes(rows[start : start + chunks])
        sums += ((_signs(start + 1, len(chunk)) @ chunk) * of_columns).sum(axis=1)
    return [*(float(f"{value:.9g}") for value in sums), float(int.from_bytes(holes.digest()[:4]))]


def _without_holes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    wide = values.astype(np.float64)
    wide[~np.isfinite(wide)] = 0.0
    return wide


def _signs(key: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """-1 or 1, of shape (_SUMS, count), the same on every machine."""
    words = np.random.Philox(key=key).random_raw(math.ceil(_SUMS * count / 64))
    bits = np.unpackbits(words.view(np.uint8), count=_SUMS * count)
    return bits.reshape(_SUMS, count).astype(np.float64) * 2 - 1
