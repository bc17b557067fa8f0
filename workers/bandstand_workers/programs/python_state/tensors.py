"""What Keras and its backends make, taken in: variables, tensors, places in a graph, look-up tables.

Knows Keras, and of a backend what it is asked. Must not know which backend there is.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.python_state.plain_values import text_of_array
from bandstand_workers.programs.python_state.walk import Walk

__all__ = ["raw_variable", "symbol", "table", "tensor", "variable"]


def variable(walk: Walk, value: Any) -> None:
    """One of Keras: all of it but its value."""
    walk.found(value)
    walk.tokens.append(
        f"variable {value.path} {tuple(value.shape)} {value.dtype} {value.trainable} {keras_parts.is_cast(value)} "
        f"{value.aggregation}"
    )
    walk.visit(value.regularizer)
    walk.visit(value.constraint)


def raw_variable(walk: Walk, value: Any) -> None:
    """One of TensorFlow's, which Keras does not know."""
    walk.found(value)
    walk.tokens.append(f"raw variable {value.shape} {value.dtype.name} {value.trainable}")


def tensor(walk: Walk, value: Any) -> None:
    """One that exists, by value."""
    walk.tensors.add(id(value))
    walk.tokens.append(text_of_array(np.asarray(keras.ops.convert_to_numpy(value))))


def symbol(walk: Walk, value: Any) -> None:
    """A place in a functional model's graph."""
    walk.tokens.append(f"symbol {value.shape} {value.dtype} {value.sparse}")


def table(walk: Walk, value: Any) -> None:
    """A look-up table of TensorFlow, by its content."""
    keys, values = (np.asarray(each) for each in value.export())
    order = np.argsort(keys.astype("S") if keys.dtype == object else keys, axis=0, kind="stable").ravel()
    for each in vars(value).values():  # such as the value for keys that are not there
        if keras.ops.is_tensor(each) and str(each.dtype) != "<dtype: 'resource'>":
            walk.visit(each)
    walk.tokens.append(f"table {keys[order].tolist()} {values[order].tolist()}")
