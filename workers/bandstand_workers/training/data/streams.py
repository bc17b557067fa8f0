"""Splits that come batch by batch, read once: `tf.data.Dataset` and `keras.utils.PyDataset`.

Knows what ends, what repeats and what draws anew each time it is read. Must not know what the examples are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import GeneratorType
from typing import Any, NoReturn

import numpy as np

from bandstand.errors import InputError
from bandstand_workers.training.data.arrays import most_bytes
from bandstand_workers.training.data.batches import first_rows

__all__ = ["is_stream", "read_stream", "row_digests"]

_EXAMPLES_AT_ONCE = 4096
_PROBED = 64
"""Examples that are read again, to see whether they come in the same order."""
_TEXT_BYTES = 64
"""What Python needs for a short text, beside its characters."""


def is_stream(value: Any) -> bool:
    """Whether a split is something that yields examples."""
    return _is_dataset(value) or _is_py_dataset(value) or isinstance(value, GeneratorType | Iterator)


def _is_dataset(value: Any) -> bool:
    return hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")


def _is_py_dataset(value: Any) -> bool:
    import keras

    return isinstance(value, keras.utils.PyDataset)


def read_stream(reference: str, split: str, stream: Any) -> Any:
    """All examples of a split, as (x, y) or (x, y, sample_weight).

    Where a `tf.data.Dataset` comes in another order each time it is read, the order is that of the examples' digests,
    so that it is the same in every process; the order of an epoch is drawn anew anyway.

    Raises:
        InputError: it does not end, is empty, does not fit into memory, or has other examples each time it is read.
    """

    def refuse(rule: str, got: str, way_out: str) -> NoReturn:
        raise InputError(f"data's split {split} must {rule}; {reference!r} gave {got}: {way_out}")

    if _is_py_dataset(stream):
        if stream.num_batches is None:
            refuse("end", "a PyDataset without a length", "give it __len__")
        return _collected((stream[number] for number in range(stream.num_batches)), refuse)
    if not _is_dataset(stream):
        refuse(
            "be (x, y) or a tf.data.Dataset", f"a {type(stream).__name__}, which may never end",
            "collect its batches into arrays: x, y = (np.concatenate(part) for part in zip(*batches))",
        )  # fmt: skip
    if int(stream.cardinality()) == -1:
        refuse("end", "a data set that repeats", "leave repeat() out")
    stream = _unbatched(stream, refuse)
    examples = _collected(stream.batch(_EXAMPLES_AT_ONCE).as_numpy_iterator(), refuse)
    return _in_order(examples, stream, refuse)


def _unbatched(dataset: Any, refuse: Any) -> Any:
    import keras

    specs = keras.tree.flatten(dataset.element_spec)
    if any(type(spec).__name__ == "RaggedTensorSpec" for spec in specs):
        refuse("have rows of one shape", "ragged tensors", "pad them: dataset.map(lambda x, y: (x.to_tensor(), y))")
    if any(type(spec).__name__ == "SparseTensorSpec" for spec in specs):
        refuse(
            "have dense tensors", "sparse ones",
            "unpack them: dataset.map(lambda x, y: (tf.sparse.to_dense(x), y))",
        )  # fmt: skip
    if all(spec.shape.rank and spec.shape[0] is None for spec in specs):
        return dataset.unbatch()
    return dataset


def _collected(batches: Iterator[Any], refuse: Any) -> Any:
    """The batches one after the other, as long as they fit into memory."""
    import keras

    limit, size, chunks = most_bytes(), 0, []
    for chunk in batches:
        chunks.append(keras.tree.map_structure(np.asarray, chunk))
        size += sum(_bytes_of(array) for array in keras.tree.flatten(chunks[-1]))
        if size > limit:
            refuse(
                "end, and fit into memory", f"more than {limit / 1e9:.1f} GB",
                "if it repeats without an end, limit it with take(); if it is too large, tune on a part of it",
            )  # fmt: skip
    if not chunks:
        refuse("have examples", "an empty data set", "look whether its filters and take() leave any")
    try:
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *chunks)
    except ValueError:
        refuse("have rows of one shape", "batches of different shapes", "pad all of them to one length")


def _bytes_of(array: np.ndarray[Any, Any]) -> int:
    if array.dtype.kind != "O":
        return array.nbytes
    return array.nbytes + sum(len(item) + _TEXT_BYTES for item in array.ravel())


def _in_order(examples: Any, dataset: Any, refuse: Any) -> Any:
    """The examples as they came, or by their digests where they come in another order each time."""
    import keras

    first = first_rows(examples, _PROBED)
    again = next(dataset.take(_PROBED).batch(_PROBED).as_numpy_iterator())
    if row_digests(first) == row_digests(again):
        return examples
    once = row_digests(examples)
    twice = row_digests(_collected(dataset.batch(_EXAMPLES_AT_ONCE).as_numpy_iterator(), refuse))
    if sorted(once) != sorted(twice):
        refuse(
            "have the same examples each time it is read", "a data set that draws them anew each time",
            "put augmentation into the model, such as keras.layers.RandomFlip, and give a shuffle before take() and "
            "skip() a seed and reshuffle_each_iteration=False",
        )  # fmt: skip
    order = np.array(sorted(range(len(once)), key=once.__getitem__))
    return keras.tree.map_structure(lambda array: array[order], examples)


def row_digests(examples: Any) -> list[bytes]:
    """A digest of each example, over all arrays of a structure."""
    import keras

    arrays = [np.ascontiguousarray(array) for array in keras.tree.flatten(examples)]
    return [_digest([array[number] for array in arrays]) for number in range(len(arrays[0]))]


def _digest(values: list[Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            digest.update(value.tobytes())
        else:
            digest.update(repr(value.tolist() if isinstance(value, np.ndarray) else value).encode())
    return digest.digest()
