"""The user's own functions, found by their names.

Knows how to import `module:function`. Must not know what the functions are for.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bandstand.errors import InputError, one_line
from bandstand.study.users_code.user_modules import (
    STOPPED,
    ScriptStopped,
    find_clash,
    find_clashes,
    find_hidden_folder,
    served_folders,
)
from bandstand_workers.training.user_code.errors import place_of
from bandstand_workers.training.user_code.seeding import note_seeds_of

__all__ = ["UnansweredError", "answer_no_questions", "load_function", "way_from_missing_file"]


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
        raise InputError(f"{role} must name a function; {_missing_function(role, module, function_name)}")
    return function  # type: ignore[no-any-return]


def _imported(role: str, reference: str, name: str) -> ModuleType:
    clash = find_clash(name.partition(".")[0], served_folders(), here=True)
    if clash is not None:
        raise InputError(f"{role} must be importable; {reference!r} is not: {clash}")
    told = _Heard(sys.stderr)
    try:
        with contextlib.redirect_stderr(told), note_seeds_of(name):  # what argparse says before it exits
            return importlib.import_module(name)
    except (Exception, SystemExit, ScriptStopped) as error:  # a user's module may raise anything
        raise InputError(
            f"{role} must be importable; {reference!r} is not: {_said(error, told.last)}: {_way_out(name, error)}"
        ) from error


class _Heard:
    """Standard error, and the last line that was written to it."""

    def __init__(self, stream: Any):
        self._stream = stream
        self._text = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As a stream's."""
        self._text = (self._text + text)[-1000:]
        return int(self._stream.write(text) or 0)

    @property
    def last(self) -> str | None:
        """The last line that says something, if one does."""
        lines = [line.strip() for line in self._text.splitlines() if line.strip()]
        return lines[-1] if lines else None


def _missing_function(role: str, module: ModuleType, name: str) -> str:
    """Why a module has no such function, and the way out."""
    stopped = getattr(module, STOPPED, None)
    if stopped and not hasattr(module, name):
        return (
            f"the import of {module.__name__} ended at {stopped}, before {name!r} was defined: put the call under "
            '`if __name__ == "__main__":`'
        )
    if role == "callbacks" and hasattr(module, name):
        kind = type(getattr(module, name)).__name__
        return f"{name!r} is no function but of type {kind}, which all trials would share: write one that returns it"
    what = "is not a function" if hasattr(module, name) else f"is not in {module.__name__}"
    own = [each for each, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    there = ", ".join(each for each in own if callable(getattr(module, each))) or "no function"
    return f"{name!r} {what}: it has {there}"


def _said(error: BaseException, told: str | None) -> str:
    """What the import did, and where."""
    place = place_of(error)
    where = f" ({place})" if place else ""
    if isinstance(error, SystemExit):
        why = error.code if isinstance(error.code, str) else told or f"code {error.code}"
        return f"it ends the process when it is imported{where}, by SystemExit: {why[:300]}"
    if isinstance(error, ScriptStopped):
        return f"it calls {error} when it is imported"
    return f"{type(error).__name__}: {one_line(error)}{where}"


def _way_out(name: str, error: BaseException) -> str:
    if isinstance(error, SystemExit | ScriptStopped | UnansweredError):
        return 'put what a script does, such as reading its command line, under `if __name__ == "__main__":`'
    missing = isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]
    return (
        way_from_missing_file(error)
        or _clash_in(name, error)
        or ("put it beside the study file or into the current folder, or install it" if missing else "fix the module")
    )


class UnansweredError(EOFError):
    """A user's code asks for input where nobody is to answer."""


def answer_no_questions() -> None:
    """From now on `input()` and `breakpoint()` raise in this process, which nobody sits in front of.

    Raises:
        UnansweredError: from whatever asks.
    """

    def unanswered(what: str) -> Callable[..., Any]:
        def ask(*_: Any, **__: Any) -> Any:
            raise UnansweredError(f"{what} is called during training, when nobody can answer")

        return ask

    builtins.input = unanswered("input()")
    sys.breakpointhook = unanswered("breakpoint()")


def way_from_missing_file(error: BaseException) -> str | None:
    """Where a file is not, what a relative path starts from; None for other errors."""
    if not isinstance(error, FileNotFoundError):
        return None
    if error.filename and Path(os.fsdecode(error.filename)).is_absolute():  # NumPy, for one, gives no name
        return None
    return (
        f"relative paths start in {Path.cwd()}, where the command was started: start it in the folder of the file, or "
        "write Path(__file__).parent / … in the code"
    )


def _clash_in(module: str, error: BaseException) -> str | None:
    """What may be wrong where a module does not import: another module has the name of one that the error names."""
    hidden = find_hidden_folder(error.name or "", served_folders()) if isinstance(error, ImportError) else None
    clashes = find_clashes(module, served_folders(), here=True)
    named = (clash for clash in clashes if f"'{Path(clash.split(' has the name')[0]).stem}" in str(error))
    return hidden or next(named, None)
