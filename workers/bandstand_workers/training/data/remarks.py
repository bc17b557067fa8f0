"""What a user should know of the data before the first trial: rows in two splits, missing values, no test split.

Knows arrays of splits. Must not know whom it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import keras
import numpy as np

from bandstand.report.text import counted
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Categorical, Parameter
from bandstand_workers.training.data.fingerprint import named_arrays
from bandstand_workers.training.data.streams import row_digests

__all__ = ["on_large_batches", "remarks_on"]

_ROWS = 200_000
"""Of a split, whose inputs are compared with those of others."""
_BYTES = 2**28
"""Likewise."""


def remarks_on(splits: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Sentences for the user; none where there is nothing to say. Takes a second where the data are large."""
    return [*_on_shared_rows(splits), *_on_missing_values(splits)]


def on_large_batches(spec: StudySpec, train: tuple[Any, ...]) -> list[str]:
    """What to say of batches that are larger than the training data: each epoch is one step then."""
    rows = len(keras.tree.flatten(train)[0])
    if isinstance(spec.batch_size, int):
        largest, what = spec.batch_size, f"batch_size = {spec.batch_size:,} is"
    else:
        largest = _largest(spec.space.parameters[spec.batch_size])
        what = f"parameter {spec.batch_size} goes up to {largest:,}, which is"
    if largest <= rows:
        return []
    return [f"{what} more than the {counted(rows, 'row')} of train, so an epoch is one step: choose smaller batches"]


def _largest(parameter: Parameter) -> int:
    """Of a parameter whose values are whole numbers."""
    values = parameter.choices if isinstance(parameter, Categorical) else (parameter.high,)
    return max(int(value) for value in values)  # the spec has checked that they are


def _on_shared_rows(splits: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Rows of one split whose inputs stand in another, too: what is measured there is not about unseen data."""
    rows = {split: len(keras.tree.flatten(parts)[0]) for split, parts in splits.items()}
    looked_at = {split: _some_inputs(parts[0], rows[split]) for split, parts in splits.items()}
    digests = {split: row_digests(inputs) for split, inputs in looked_at.items()}
    remarks = []
    for first, second in combinations(splits, 2):
        known = set(digests[first])
        shared = sum(digest in known for digest in digests[second])
        if not shared:
            continue
        compared = [split for split in (first, second) if len(digests[split]) < rows[split]]
        sample = "".join(f"; {len(digests[split]):,} rows of {split} were compared" for split in compared)
        remarks.append(
            f"{'at least ' if compared else ''}{shared:,} of {rows[second]:,} rows of {second} are also in {first} "
            f"(with the same inputs){sample}"
        )
    return remarks


def _some_inputs(inputs: Any, rows: int) -> Any:
    """Inputs of evenly spaced rows, all of them where they are few."""
    size = sum(array.nbytes for array in keras.tree.flatten(inputs))
    most = max(1, min(_ROWS, int(rows * min(1.0, _BYTES / max(1, size)))))
    if most >= rows:
        return inputs
    chosen = np.linspace(0, rows - 1, most).astype(np.int64)
    return keras.tree.map_structure(lambda array: array[chosen], inputs)


def _on_missing_values(splits: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Values that are no numbers, because of which most losses are none either."""
    found = []
    for split, parts in splits.items():
        for name, array in named_arrays(parts):
            if array.dtype.kind != "f":
                continue
            count = int(array.size - np.isfinite(array).sum())
            if count:
                found.append(f"{count:,} of {array.size:,} values of {split}'s {name}")
    if not found:
        return []
    return [
        f"{', '.join(found)} are not finite (NaN or infinite), and most layers and losses turn them into NaN: remove "
        "these rows, or replace the values"
    ]
