"""The user's data, loaded and checked.

Knows what a data set must look like. Must not know what is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bandstand.errors import InputError, one_line
from bandstand.study.context import Context
from bandstand_workers.training.user_code.calling import call
from bandstand_workers.training.user_code.loading import load_function, way_from_missing_file

__all__ = ["Data", "load_data"]

Data = Mapping[str, tuple[Any, ...]]
"""Split name -> (x, y) or (x, y, sample_weight), arrays or structures of arrays. Loaders may give `tf.data` sets."""

_EXAMPLES_AT_ONCE = 4096
_DATASET_BYTES = 8 * 10**9
"""Of a `tf.data.Dataset`, which may be longer than anybody meant; arrays are in memory already."""
_WAY_OUT = "return {'train': (x, y), 'validation': (x, y), 'test': (x, y)}"


def load_data(reference: str, context: Context) -> Data:
    """The user's data, checked and as arrays.

    Raises:
        InputError: it does not load, or is not what a study needs.
    """
    function = load_function("data", reference)
    try:
        loaded = call(function, context=context)
    except Exception as error:
        raise InputError(
            f"data must load; {reference!r} raised {type(error).__name__}: {one_line(error)}: "
            f"{way_from_missing_file(error) or 'mend the loader'}"
        ) from error
    if not isinstance(loaded, Mapping):
        raise InputError(f"data must be a dict of splits; {reference!r} gave {type(loaded).__name__}: {_WAY_OUT}")
    for split in ("train", "validation"):
        if split not in loaded:
            raise InputError(f"data must have the split {split}; {reference!r} has {', '.join(loaded)}: {_WAY_OUT}")
    return {split: _arrays(reference, split, parts) for split, parts in loaded.items()}


def _arrays(reference: str, split: str, parts: Any) -> tuple[Any, ...]:
    import keras

    if hasattr(parts, "element_spec") and hasattr(parts, "as_numpy_iterator"):
        parts = _read_dataset(reference, split, parts)
    if not isinstance(parts, tuple | list) or len(parts) not in (2, 3):
        raise InputError(
            f"data's split {split} must be (x, y) or (x, y, sample_weight); {reference!r} gave "
            f"{type(parts).__name__}: {_WAY_OUT}"
        )
    floatx = keras.config.floatx()

    def array(value: Any) -> Any:
        converted = np.asarray(value)
        # As `fit` does with arrays of its own.
        return converted.astype(floatx) if converted.dtype == np.float64 else converted

    arrays = tuple(keras.tree.map_structure(array, part) for part in parts)
    lengths = [len(leaf) if leaf.ndim else -1 for part in arrays for leaf in keras.tree.flatten(part)]
    if len(set(lengths)) != 1 or lengths[0] < 1:
        names = ("x", "y", "sample_weight")
        counts = ", ".join(
            f"{name} {'/'.join(str(len(leaf) if leaf.ndim else 'scalar') for leaf in keras.tree.flatten(part))}"
            for name, part in zip(names, arrays, strict=False)
        )
        raise InputError(
            f"data's split {split} must have equal lengths from 1; {reference!r} gave {counts}: one label for each "
            "example"
        )
    return arrays


def _read_dataset(reference: str, split: str, dataset: Any) -> Any:
    """The examples of a `tf.data.Dataset`, batched or not, read once."""
    import keras

    if int(dataset.cardinality()) == -1:
        raise InputError(
            f"data's split {split} must end; {reference!r} gave a data set that repeats: leave repeat() out"
        )
    specs = keras.tree.flatten(dataset.element_spec)
    if all(spec.shape.rank and spec.shape[0] is None for spec in specs):
        dataset = dataset.unbatch()
    chunks: list[Any] = []
    size = 0
    for chunk in dataset.batch(_EXAMPLES_AT_ONCE).as_numpy_iterator():
        chunks.append(chunk)
        size += sum(array.nbytes for array in keras.tree.flatten(chunk))
        if size > _DATASET_BYTES:
            raise InputError(
                f"data's split {split} must fit into memory; {reference!r} gave a data set of more than "
                f"{_DATASET_BYTES / 1e9:.0f} GB: tune on a part of it"
            )
    if not chunks:
        raise InputError(f"data's split {split} must have examples; {reference!r} gave an empty data set")
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *chunks)
