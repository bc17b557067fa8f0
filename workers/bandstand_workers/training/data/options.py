"""What a study asks of its data beside the loader: a validation split cut off from train, and weights of classes.

Knows arrays of splits. Must not know how they were loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from bandstand.errors import InputError

__all__ = ["cut_validation", "on_unknown_classes", "way_from_text_labels", "weigh_classes"]

_SHOWN = 10


def cut_validation(train: tuple[Any, ...], share: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Train without its last rows, and those as validation, as Keras's `fit(validation_split=…)` takes them.

    Raises:
        InputError: one of them would be empty.
    """
    rows = len(keras.tree.flatten(train)[0])
    border = math.floor(rows * (1.0 - share))
    if not 0 < border < rows:
        raise InputError(
            f"validation_split must leave rows for train and validation; got {share:g} of {rows} rows: have the loader "
            "return a validation split"
        )
    first, last = (
        keras.tree.map_structure(lambda array, part=part: array[part], train)
        for part in (slice(border), slice(border, rows))
    )
    return first, last


def weigh_classes(train: tuple[Any, ...], weights: str | Mapping[int, float]) -> tuple[Any, ...]:
    """Train with each row's sample weight times the weight of its class.

    Args:
        train: (x, y) or (x, y, sample_weight); classes are whole numbers in y, or the places of its ones.
        weights: by class, 1 for those that are not named, as in Keras's `fit(class_weight=…)`; `balanced` for the
            number of rows, divided by the number of classes times the number of rows of the class, as scikit-learn
            has it.

    Raises:
        InputError: y has no classes.
    """
    x, y, *given = train
    classes = _classes_of(y)
    there, counts = np.unique(classes, return_counts=True)
    if isinstance(weights, str):
        by_class = {int(label): len(classes) / (len(there) * count) for label, count in zip(there, counts, strict=True)}
    else:
        by_class = dict(weights)
    of_rows = np.array([by_class.get(int(label), 1.0) for label in there])[np.searchsorted(there, classes)]
    if given and not isinstance(given[0], np.ndarray):
        raise InputError(
            "class_weight needs one sample weight for each row; the loader gave a structure: leave one of them out"
        )
    if given:
        of_rows = of_rows.reshape(-1, *[1] * (given[0].ndim - 1)) * given[0]
    return x, y, of_rows.astype(keras.config.floatx())


def on_unknown_classes(train: tuple[Any, ...], weights: Mapping[int, float]) -> list[str]:
    """A sentence for the user where classes have a weight and no row, which `fit` passes over in silence."""
    there = np.unique(_classes_of(train[1]))
    unknown = sorted(set(weights) - set(map(int, there)))
    if not unknown:
        return []
    known = ", ".join(map(str, there[:_SHOWN])) + (", …" if len(there) > _SHOWN else "")
    named = ", ".join(map(str, unknown[:_SHOWN])) + (", …" if len(unknown) > _SHOWN else "")
    return [f"class_weight names classes that train does not contain: {named}; its classes are {known}"]


def way_from_text_labels(splits: Mapping[str, tuple[Any, ...]]) -> str:
    """What to write where labels are text, which losses do not take; an empty text where they are not."""
    if not any(array.dtype.kind == "O" for array in keras.tree.flatten(splits["train"][1])):
        return ""
    return ": the labels y are text, which losses do not take: write np.unique(y, return_inverse=True)[1]"


def _classes_of(y: Any) -> np.ndarray[Any, Any]:
    """The class of each row, as Keras reads it."""
    if not isinstance(y, np.ndarray):
        raise InputError(
            f"class_weight must be for one output, as in fit; train has {len(keras.tree.flatten(y))} of them: have the "
            "loader return sample weights"
        )
    if y.dtype.kind not in "biuf":
        raise InputError(
            "class_weight must be for classes that are numbers; train's y is text: write "
            "np.unique(y, return_inverse=True)[1]"
        )
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] != 1 else labels[..., 0]
    if labels.ndim != 1:
        raise InputError(
            f"class_weight must be for one class a row; train's y has the shape {y.shape}: have the loader return "
            "sample weights"
        )
    if not np.array_equal(labels, np.round(labels)):
        raise InputError(
            "class_weight must be for classes, whole numbers; train's y has others, as in regression: leave it out, or "
            "have the loader return sample weights"
        )
    return labels.astype(np.int64)
