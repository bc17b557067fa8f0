"""Arrays of what a loader returns: frames, series, lists, sparse matrices and text, as Keras's `fit` takes them.

Knows the kinds of containers and what Keras makes of each. Must not know splits, nor what the arrays are for. Messages
hold nothing of what is in the data, only kinds, names and sizes.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, NoReturn

import numpy as np
import psutil

from bandstand.errors import InputError

__all__ = ["LoadedPart", "arrays_from", "most_bytes"]

_MOST_BYTES = 8 * 10**9
_SHARE_OF_MEMORY = 3
"""While parts of a data set are put together, there are two copies of it."""
_NAMED = 3
"""Columns that a message names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedPart:
    """Where something stands in what a loader has returned, for messages."""

    reference: str  # the loader
    split: str
    part: str  # x, y, sample_weight; x.age within a structure

    def refuse(self, rule: str, got: str, way_out: str) -> NoReturn:
        """Raise an InputError of one line."""
        raise InputError(f"data's split {self.split}: {self.part} {rule}; {self.reference!r} gave {got}: {way_out}")

    def within(self, key: object) -> LoadedPart:
        """The place of an element of a structure."""
        return LoadedPart(reference=self.reference, split=self.split, part=f"{self.part}.{key}")


def most_bytes() -> int:
    """How large a data set may become that is read or unpacked here: 8 GB, or less where memory is short."""
    return min(_MOST_BYTES, int(psutil.virtual_memory().available) // _SHARE_OF_MEMORY)


def arrays_from(value: Any, place: LoadedPart) -> Any:
    """An array, or a structure of arrays for models of several inputs or outputs.

    Raises:
        InputError: it cannot be made an array that Keras takes.
    """
    if isinstance(value, Mapping):
        return {key: arrays_from(item, place.within(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if _holds_arrays(value):
            items = [arrays_from(item, place.within(number)) for number, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        return _array_from_numbers(value, place)
    return _array_from(value, place)


def _holds_arrays(value: Sequence[Any]) -> bool:
    """Whether a list is one of arrays, which are inputs of their own to Keras, and not rows of plain values."""
    first: Any = value
    while isinstance(first, list | tuple) and first:
        first = first[0]
    is_array = hasattr(first, "__array__") or hasattr(first, "tocsr")
    return isinstance(first, Mapping) or (is_array and getattr(first, "ndim", 0) > 0)


def _array_from(value: Any, place: LoadedPart) -> np.ndarray[Any, Any]:
    kind = type(value).__module__.partition(".")[0]
    if kind == "pandas" and hasattr(value, "columns"):
        return _array_from_frame(value, place)
    if kind == "pandas" and hasattr(value, "to_frame"):
        # As `fit` has a series: a column.
        return np.expand_dims(_array_from_column(value, place), -1)
    if kind == "scipy" and hasattr(value, "tocsr"):
        return _array_from_sparse(value, place)
    if hasattr(value, "to_tensor") and hasattr(value, "row_splits"):
        _refuse_ragged(place, "a tf.RaggedTensor", "write .to_tensor(), which pads it with zeros")
    if hasattr(value, "dense_shape") and hasattr(value, "indices"):
        import tensorflow as tf

        _check_size(value.dense_shape, value.dtype.size, place)
        return _checked(tf.sparse.to_dense(tf.sparse.reorder(value)).numpy(), place)
    if isinstance(value, GeneratorType | Iterator) or hasattr(value, "__next__") or callable(value):
        place.refuse(
            "must be an array", f"a {type(value).__name__}",
            "collect what it yields: np.array(list(…)), or a tf.data.Dataset of a known length as the whole split",
        )  # fmt: skip
    if value is None or isinstance(value, set | frozenset):
        place.refuse("must be an array", type(value).__name__, "write np.asarray of a list of one value for each row")
    return _checked(np.asarray(value), place)


def _checked(array: np.ndarray[Any, Any], place: LoadedPart) -> np.ndarray[Any, Any]:
    """The array as `fit` has it: floats in Keras's precision, text as objects; others as they are.

    Raises:
        InputError: it holds what no model takes.
    """
    import keras

    kind = array.dtype.kind
    if kind == "O":
        return _array_from_objects(array, place)
    if kind in "UT":
        return np.asarray(array.astype(object))
    if kind == "S":
        return _as_text(array.astype(object))
    if kind in "Mm":
        place.refuse("must be numbers or text", f"dates ({array.dtype})", "write numbers, such as .astype('int64')")
    floatx = keras.config.floatx()
    is_float = kind == "f" or array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
    if is_float and array.dtype.name != floatx:
        return array.astype(floatx)
    if kind == "V" and not is_float:
        place.refuse("must be numbers or text", f"records ({len(array.dtype)} fields)", "write a dict of arrays")
    return array


def _array_from_objects(array: np.ndarray[Any, Any], place: LoadedPart) -> np.ndarray[Any, Any]:
    import keras

    kinds = set(map(type, array.ravel().tolist()))
    if kinds == {str}:
        return array
    if kinds == {bytes}:
        return _as_text(array)
    if all(issubclass(kind, numbers.Real | np.bool_) for kind in kinds):
        if kinds <= {bool, np.bool_}:
            return array.astype(bool)
        whole = all(issubclass(kind, numbers.Integral) for kind in kinds - {bool})
        return array.astype(np.int64 if whole else keras.config.floatx())
    if any(issubclass(kind, list | tuple | np.ndarray) for kind in kinds):
        lengths = {np.shape(item) for item in array.ravel()}
        if len(lengths) == 1 and array.ndim == 1:
            return _checked(np.stack([np.asarray(item) for item in array]), place)
        _refuse_ragged(place, "rows of different lengths")
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    way_out = "fill or drop the missing ones" if type(None) in kinds else "make one type of them with .astype"
    return place.refuse("must be numbers or text", f"values of the types {names}", way_out)


def _as_text(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bytes as text; as they are where they are none, say images that the model decodes."""
    try:
        texts = [item.decode() for item in array.ravel()]
    except UnicodeDecodeError:
        return array
    decoded = np.empty(array.size, object)
    decoded[:] = texts
    return decoded.reshape(array.shape)


def _refuse_ragged(place: LoadedPart, got: str, way_out: str = "pad them with keras.utils.pad_sequences") -> NoReturn:
    place.refuse("must have rows of one shape", got, way_out)


def _array_from_numbers(value: Sequence[Any], place: LoadedPart) -> np.ndarray[Any, Any]:
    """Of lists of plain values, one within another."""
    try:
        array = np.asarray(value)
    except ValueError:
        lengths = [len(row) for row in value if hasattr(row, "__len__")]
        which = f"{min(lengths)} to {max(lengths)}" if lengths and min(lengths) < max(lengths) else "different"
        _refuse_ragged(place, f"lists of {which} values")
    if array.dtype.kind == "U":
        kinds = {type(item) for item in np.asarray(value, dtype=object).ravel().tolist()}
        if not all(issubclass(kind, str) for kind in kinds):  # NumPy would write numbers as text
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            place.refuse("must be numbers or text", f"a list of {names}", "make a dict of arrays, one for each column")
    return _checked(array, place)


def _array_from_sparse(value: Any, place: LoadedPart) -> np.ndarray[Any, Any]:
    _check_size(value.shape, value.dtype.itemsize, place)
    return _checked(np.asarray(value.toarray()), place)


def _check_size(shape: Any, itemsize: int, place: LoadedPart) -> None:
    size = float(np.prod([float(length) for length in shape])) * itemsize
    if size > most_bytes():
        shown = " x ".join(f"{int(length):,}" for length in shape)
        place.refuse(
            f"must fit into memory ({most_bytes() / 1e9:.1f} GB) without its sparse form",
            f"a sparse matrix of {shown}", "keep fewer columns, say by TruncatedSVD or max_features, or fewer rows",
        )  # fmt: skip


def _array_from_frame(frame: Any, place: LoadedPart) -> np.ndarray[Any, Any]:
    """A frame's columns as one array, as `fit` makes it."""
    import keras

    columns = [frame.iloc[:, number] for number in range(frame.shape[1])]
    texts = [column for column in columns if _is_text(column)]
    if texts and len(texts) == len(columns):
        return _checked(frame.to_numpy(dtype=object), place)
    others = [column for column in columns if not _is_numeric(column)]
    if others:
        named = ", ".join(f"{column.name} ({column.dtype})" for column in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        dates = any(column.dtype.kind in "Mm" for column in others)
        way_out = "write numbers for dates, such as .dt.dayofyear" if dates else (
            "write pd.get_dummies(frame, dtype=float), or a dict of its columns for a model of several inputs"
        )  # fmt: skip
        place.refuse("must be numbers", f"a frame with the columns {named}{more}", way_out)
    arrays = [_numbers_of(column) for column in columns]
    kinds = {array.dtype.kind for array in arrays}
    if kinds <= {"i", "u"} or kinds == {"b"}:
        return _checked(np.stack(arrays, axis=1), place)
    return np.stack([array.astype(keras.config.floatx()) for array in arrays], axis=1)


def _array_from_column(column: Any, place: LoadedPart) -> np.ndarray[Any, Any]:
    if _is_text(column):
        return _checked(column.to_numpy(dtype=object), place)
    if _is_numeric(column):
        return _checked(_numbers_of(column), place)
    if column.dtype.kind in "Mm":
        place.refuse("must be numbers or text", f"dates ({column.dtype})", "write numbers, such as .dt.dayofyear")
    if str(column.dtype) == "category":
        place.refuse("must be numbers", "a category column of text", "write its .cat.codes")
    return _checked(column.to_numpy(dtype=object), place)


def _is_text(column: Any) -> bool:
    import pandas as pd

    return str(column.dtype) != "category" and bool(pd.api.types.is_string_dtype(column))


def _is_numeric(column: Any) -> bool:
    import pandas as pd

    of_categories = getattr(column.dtype, "categories", None)
    if of_categories is not None:
        return bool(pd.api.types.is_numeric_dtype(of_categories.dtype))
    if column.dtype == object:
        return all(isinstance(item, numbers.Real | np.bool_) for item in column)
    return bool(pd.api.types.is_numeric_dtype(column.dtype))  # bool and nullable ones are among them


def _numbers_of(column: Any) -> np.ndarray[Any, Any]:
    """A numeric column's values; what is missing is NaN."""
    import keras

    if column.isna().any() or hasattr(column.dtype, "categories") or column.dtype == object:
        return np.asarray(column.to_numpy(dtype=keras.config.floatx(), na_value=np.nan))
    dtype = getattr(column.dtype, "numpy_dtype", None) or getattr(column.dtype, "subtype", column.dtype)
    return np.asarray(column.to_numpy(dtype=dtype))
