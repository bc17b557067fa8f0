"""The user's own functions, found and checked.

Knows how to import `module:function`. Must not know what the functions are for.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

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
from bandstand_workers.training.data.seeding import note_seeds_of

__all__ = ["load_builder", "load_function", "way_from_missing_file"]


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
        with note_seeds_of(name):
            return importlib.import_module(name)
    except (Exception, SystemExit, ScriptStopped) as error:  # a user's module may raise anything
        missing = isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]
        way_out = (
            "put it beside the study file or into the current folder, or install it" if missing else "mend the module"
        )
        raise InputError(
            f"{role} must be importable; {reference!r} is not: {_said(error)}: "
            f"{way_from_missing_file(error) or _clash_in(name, error) or way_out}"
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


def way_from_missing_file(error: BaseException) -> str | None:
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
