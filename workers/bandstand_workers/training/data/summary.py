"""What a study trained with, in a few words: how many examples, and a fingerprint of them all.

Knows arrays. Must not know studies.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from bandstand_workers.training.data.loading import Data

__all__ = ["describe_data"]

_WHOLE = 2**28
"""Bytes of an array up to which all of it is read."""
_BLOCK = 2**16
_BLOCKS = 2**12


def describe_data(data: Data) -> dict[str, str]:
    """`data`: the first 16 digits of a SHA-256 of all arrays, their types and shapes; `examples`: counts by split.

    Of an array above 256 MiB 4,096 evenly spaced blocks of 64 KiB are read, the first and the last among them, so that
    a study does not wait for its fingerprint.
    """
    import keras

    digest = hashlib.sha256()
    counts = []
    for split in sorted(data):
        arrays = [leaf for part in data[split] for leaf in keras.tree.flatten(part)]
        counts.append(f"{split} {len(arrays[0]):,}")
        for array in arrays:
            digest.update(f"{split} {array.dtype.str} {array.shape}".encode())
            _update(digest, array)
    return {"data": digest.hexdigest()[:16], "examples": ", ".join(counts)}


def _update(digest: Any, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.hasobject:
        digest.update("\x1f".join(map(repr, array.ravel().tolist())).encode())
        return
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if content.nbytes <= _WHOLE:
        digest.update(content)
        return
    for start in np.linspace(0, content.nbytes - _BLOCK, _BLOCKS).astype(np.int64):
        digest.update(content[start : start + _BLOCK])
