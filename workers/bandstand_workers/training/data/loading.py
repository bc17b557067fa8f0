"""The user's data, loaded and checked.

Knows what a data set must look like. Must not know what is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from bandstand.errors import InputError
from bandstand.study.context import Context, asks_for_context
from bandstand.study.study_spec import StudySpec
from bandstand.trials.data_fingerprint import DataPrint
from bandstand_workers.training.data.arrays import LoadedPart, arrays_from
from bandstand_workers.training.data.fingerprint import PARTS, fingerprint
from bandstand_workers.training.data.options import cut_validation, on_unknown_classes, weigh_classes
from bandstand_workers.training.data.remarks import remarks_on
from bandstand_workers.training.data.streams import is_stream, read_stream
from bandstand_workers.training.user_code.calling import call
from bandstand_workers.training.user_code.errors import said_with_place
from bandstand_workers.training.user_code.loading import load_function, way_from_missing_file
from bandstand_workers.training.user_code.seeding import generator_states, seed_for_load

__all__ = ["Data", "LoadedData", "load_data"]

Data = Mapping[str, tuple[Any, ...]]
"""Split name -> (x, y) or (x, y, sample_weight), arrays or structures of arrays. Loaders may give `tf.data` sets."""

_DECIDES = ("data", "validation_split", "class_weight")
"""The settings that say what the data are, beside the seed."""
_WAY_OUT = "return {'train': (x, y), 'validation': (x, y), 'test': (x, y)}"


@dataclass(frozen=True, kw_only=True)
class LoadedData:
    """A study's data as this process has loaded them."""

    splits: Data
    spec: StudySpec  # the study that they were loaded for
    depends_on_seed: bool  # whether the loader drew from a generator seeded by the study, or asks for its seed

    def serves(self, spec: StudySpec) -> bool:
        """Whether another study's data are these."""
        if self.depends_on_seed and spec.seed != self.spec.seed:
            return False
        return all(getattr(spec, name) == getattr(self.spec, name) for name in _DECIDES)

    @cached_property
    def remarks(self) -> list[str]:
        """What the user should know of them."""
        cut = self.spec.validation_split
        remarks = []
        if cut is not None:
            train, validation = (len(keras.tree.flatten(self.splits[split])[0]) for split in ("train", "validation"))
            remarks.append(
                f"validation_split = {cut:.3g} takes the last {validation:,} of {train + validation:,} rows of train "
                "for validation, in the order in which they were loaded"
            )
        if isinstance(self.spec.class_weight, dict):
            remarks += on_unknown_classes(self.splits["train"], self.spec.class_weight)
        return remarks + remarks_on(self.splits)

    @cached_property
    def fingerprint(self) -> DataPrint:
        """As `fingerprint`."""
        return fingerprint(self.splits)


def load_data(spec: StudySpec) -> LoadedData:
    """The user's data, checked and as arrays.

    Python's and NumPy's generators are seeded from the study before, so that what a loader draws is the same in every
    process; what the user's own code seeds stays.

    Raises:
        InputError: it does not load, or is not what a study needs.
    """
    reference = spec.data
    function = load_function("data", reference)
    modules = [name.partition(":")[0] for name in (spec.model, *spec.callbacks, reference)]
    seed_for_load(spec.seed, modules)
    before = generator_states()
    try:
        loaded = call(function, context=Context(seed=spec.seed))  # more is not known before there are data
    except Exception as error:
        raise InputError(
            f"data must load; {reference!r} raised {said_with_place(error)}: "
            f"{way_from_missing_file(error) or 'fix the loader'}"
        ) from error
    if not isinstance(loaded, Mapping):
        raise InputError(f"data must be a dict of splits; {reference!r} gave {type(loaded).__name__}: {_WAY_OUT}")
    _check_splits(spec, loaded)
    splits = {str(split): _arrays(reference, str(split), parts) for split, parts in loaded.items()}
    depends_on_seed = generator_states() != before or asks_for_context(function)
    if spec.validation_split is not None:
        splits["train"], splits["validation"] = cut_validation(splits["train"], spec.validation_split)
    if spec.class_weight is not None:
        splits["train"] = weigh_classes(splits["train"], spec.class_weight)
    return LoadedData(splits=splits, spec=spec, depends_on_seed=depends_on_seed)


def _check_splits(spec: StudySpec, loaded: Mapping[Any, Any]) -> None:
    """Refuse what has no train, or not one validation."""
    there = ", ".join(map(str, loaded)) or "no split"
    if "train" not in loaded:
        raise InputError(f"data must have the split train; {spec.data!r} has {there}: {_WAY_OUT}")
    if "validation" not in loaded and spec.validation_split is None:
        raise InputError(
            f"data must have the split validation; {spec.data!r} has {there}: {_WAY_OUT}, or set validation_split = "
            "0.2 in the study, which takes the last rows of train"
        )
    if "validation" in loaded and spec.validation_split is not None:
        raise InputError(
            f"validation_split must be left out if the loader returns validation; {spec.data!r} has {there}: leave "
            "out one of them"
        )


def _arrays(reference: str, split: str, parts: Any) -> tuple[Any, ...]:
    if is_stream(parts):
        parts = read_stream(reference, split, parts)
    if not isinstance(parts, tuple | list) or len(parts) not in (2, 3):
        got = f"{len(parts)} of them" if isinstance(parts, tuple | list) else type(parts).__name__
        raise InputError(
            f"data's split {split} must be (x, y) or (x, y, sample_weight); {reference!r} gave {got}: {_WAY_OUT}"
        )
    arrays = tuple(
        arrays_from(part, LoadedPart(reference=reference, split=split, part=name))
        for name, part in zip(PARTS, parts, strict=False)
    )
    _check_lengths(reference, split, arrays)
    return arrays


def _check_lengths(reference: str, split: str, arrays: tuple[Any, ...]) -> None:
    """One length for all arrays, and that at least 1."""
    lengths = [[len(leaf) if leaf.ndim else -1 for leaf in keras.tree.flatten(part)] for part in arrays]
    flat = [length for part in lengths for length in part]
    if len(set(flat)) == 1 and flat[0] >= 1:
        return
    counts = ", ".join(f"{name} {_words_on(part)}" for name, part in zip(PARTS, lengths, strict=False))
    rows = any(isinstance(part, list | tuple) and len(part) in flat for part in arrays)
    way_out = "one label for each example"
    if rows:
        way_out += "; a list of arrays means several inputs: if it is a list of rows, write np.stack of it"
    raise InputError(f"data's split {split} must have equal lengths from 1; {reference!r} gave {counts}: {way_out}")


def _words_on(lengths: list[int]) -> str:
    """Such as 20, 20/19, scalar, or 5 for each of 400 arrays."""
    if len(set(lengths)) == 1 and len(lengths) > 1:
        return f"{lengths[0]} for each of {len(lengths)} arrays"
    shown = "/".join("scalar" if length < 0 else str(length) for length in lengths[:4])
    return shown + ("/…" if len(lengths) > 4 else "")
