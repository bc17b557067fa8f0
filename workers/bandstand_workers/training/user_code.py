"""The user's own functions and data, found and checked.

Knows how to import `module:function` and what a data set must look like. Must not know what is done with them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bandstand.errors import InputError, one_line
from bandstand.study.user_modules import (
    STOPPED,
    ScriptStopped,
    find_clash,
    find_clashes,
    find_hidden_folder,
    served_folders,
)
from bandstand_spaces.keras_tuner import KerasTunerBuilder, takes_hp

__all__ = ["Data", "load_builder", "load_data", "load_function"]

Data = Mapping[str, tuple[Any, ...]]
"""Split name -> (x, y) or (x, y, sample_weight), arrays or structures of arrays. Loaders may give `tf.data` sets."""

_EXAMPLES_AT_ONCE = 4096
_DATASET_BYTES = 8 * 10**9
"""Of a `tf.data.Dataset`, which may be longer than anybody meant; arrays are in memory already."""
_WAY_OUT = "return {'train': (x, y), 'validation': (x, y), 'test': (x, y)}"


def load_function(role: str, reference: str) -> Callable[..., Any]:
    """The function that `module:function` names.

    Args:
        role: model, data or callbacks, for the message.
        reference: as in the study.

    Raises:
        InputError: the module does not import, or has no such function.
    """
    module_name, _, function_name = reference.partition(":")
    module = _imported(role, reference, module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"{role} must name a function; {_missing_function(module, function_name)}")
    return function  # type: ignore[no-any-return]


def _imported(role: str, reference: str, name: str) -> ModuleType:
    clash = find_clash(name.partition(".")[0], served_folders(), here=True)
    if clash is not None:
        raise InputError(f"{role} must be importable; {reference!r} is not: {clash}")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit, ScriptStopped) as error:  # a user's module may raise anything
        missing = isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]
        way_out = (
            "put it beside the study file or into the current folder, or install it" if missing else "mend the module"
        )
        raise InputError(
            f"{role} must be importable; {reference!r} is not: {_said(error)}: "
            f"{_way_from_missing_file(error) or _clash_in(name, error) or way_out}"
        ) from error


def _missing_function(module: ModuleType, name: str) -> str:
    """Why a module has no such function, and the way out."""
    stopped = getattr(module, STOPPED, None)
    if stopped and not hasattr(module, name):
        return (
            f"the import of {module.__name__} ended where it calls {stopped}, and {name!r} is not above that: put the "
            'call under `if __name__ == "__main__":`'
        )
    what = "is not a function" if hasattr(module, name) else f"is not in {module.__name__}"
    own = [each for each, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    there = ", ".join(each for each in own if callable(getattr(module, each))) or "no function"
    return f"{name!r} {what}: it has {there}"


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ends the process (SystemExit: {one_line(error)}), as a command line does that is read at import"
    if isinstance(error, ScriptStopped):
        return f"it calls {error} when it is imported"
    return f"{type(error).__name__}: {one_line(error)}"


def _way_from_missing_file(error: BaseException) -> str | None:
    """Where a file is not, what a relative path starts from; None for other errors."""
    if not isinstance(error, FileNotFoundError):
        return None
    if error.filename and Path(os.fsdecode(error.filename)).is_absolute():  # NumPy, for one, gives no name
        return None
    return (
        f"relative paths start in {Path.cwd()}, as they do for `python` where the command is started: start it where "
        "the file is, or write Path(__file__).parent / … in the code"
    )


def _clash_in(module: str, error: BaseException) -> str | None:
    """What may be wrong where a module does not import: another module has the name of one that the error names."""
    hidden = find_hidden_folder(error.name or "", served_folders()) if isinstance(error, ImportError) else None
    clashes = find_clashes(module, served_folders(), here=True)
    named = (clash for clash in clashes if f"'{Path(clash.split(' has the name')[0]).stem}" in str(error))
    return hidden or next(named, None)


def load_builder(reference: str) -> Callable[..., Any]:
    """The study's model builder, `build(params)`; a KerasTuner `build_model(hp)` becomes one.

    Raises:
        InputError: as `load_function`.
    """
    function = load_function("model", reference)
    return KerasTunerBuilder(function) if takes_hp(function) else function


def load_data(reference: str) -> Data:
    """The user's data, checked and as arrays.

    Raises:
        InputError: it does not load, or is not what a study needs.
    """
    function = load_function("data", reference)
    try:
        loaded = function()
    except Exception as error:
        raise InputError(
            f"data must load; {reference!r} raised {type(error).__name__}: {one_line(error)}: "
            f"{_way_from_missing_file(error) or 'mend the loader'}"
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
