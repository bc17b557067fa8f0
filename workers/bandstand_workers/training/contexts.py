"""Contexts for a study's functions, as `bandstand.Context` describes them.

Knows assignments, the data and where a trial's files are. Must not know what the functions do with a context.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bandstand import stored_files
from bandstand.search.protocol import Assignment
from bandstand.strategies.randomness import trial_seed
from bandstand.study.context import Context, DataFacts
from bandstand.study.study_spec import StudySpec
from bandstand_workers.training.data.loading import Data

__all__ = ["Contexts", "remove_if_empty"]


class Contexts:
    """Makes the contexts of one study's trials."""

    def __init__(self, spec: StudySpec, data: Data):
        self._spec = spec
        self._data = data

    def of_assignment(self, assignment: Assignment, place: str) -> Context:
        """For a trial that is trained.

        Args:
            assignment: what is trained.
            place: where the trial's checkpoints go, a path or an fsspec URL.
        """
        return self._context(
            assignment.trial,
            assignment.params,
            stored_files.users_folder(place),
            seed=assignment.seed,
            epoch=assignment.from_epoch if assignment.checkpoint_of is not None else 0,
            resumed=assignment.checkpoint_of == assignment.trial,
        )

    def of_saved(self, params: Mapping[str, Any], file: str) -> Context:
        """For a trial whose model is only built, to hold the weights of a file that is in the trial's place."""
        place = file.rpartition("/")[0]
        trial = stored_files.trial_of(place)
        return self._context(trial, params, stored_files.users_folder(place), seed=self._seed_of(trial))

    @contextmanager
    def of_probe(self, params: Mapping[str, Any]) -> Iterator[Context]:
        """For params that are tried and not trained."""
        with tempfile.TemporaryDirectory(prefix="bandstand-probe-", ignore_cleanup_errors=True) as folder:
            yield self._context(0, params, Path(folder), seed=self._seed_of(0))

    def _context(self, trial: int, params: Mapping[str, Any], folder: Path, **more: Any) -> Context:
        steps = math.ceil(self._facts.examples["train"] / self._spec.batch_size_for(params))
        return Context(trial=trial, folder=folder, data=self._facts, steps_per_epoch=steps, **more)

    def _seed_of(self, trial: int) -> int:
        return trial_seed(self._spec.seed, trial)

    @cached_property
    def _facts(self) -> DataFacts:
        x, y = self._data["train"][:2]
        lengths = {split: len(keras.tree.flatten(parts)[0]) for split, parts in self._data.items()}
        targets = [parts[1] for split, parts in self._data.items() if split != "test"]
        return DataFacts(x_shape=_shapes(x), y_shape=_shapes(y), examples=lengths, classes=_classes(targets))


def remove_if_empty(folder: Path) -> None:
    """Remove a trial's folder that nothing was written to."""
    with suppress(OSError):
        folder.rmdir()


def _shapes(part: Any) -> Any:
    return keras.tree.map_structure(lambda array: tuple(int(size) for size in array.shape[1:]), part)


def _classes(targets: list[Any]) -> int | None:
    if any(not isinstance(target, np.ndarray) or not target.size for target in targets):
        return None
    if all(target.dtype.kind in "iub" for target in targets):
        if all(target.ndim == 2 and target.shape[1] > 1 and _is_one_hot(target) for target in targets):
            return int(targets[0].shape[1])
        least, most = min(int(t.min()) for t in targets), max(int(t.max()) for t in targets)
        return None if least < 0 else most + 1
    rows = all(target.ndim == 2 and target.shape[1] > 1 and _is_one_hot(target) for target in targets)
    return int(targets[0].shape[1]) if rows else None


def _is_one_hot(rows: np.ndarray[Any, Any]) -> bool:
    return bool(np.all((rows == 0) | (rows == 1)) and np.all(rows.sum(axis=1) == 1))
