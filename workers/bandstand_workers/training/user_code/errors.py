"""What an error of a user's code says: in which line it was raised, in one line why, and what was probably meant.

Knows tracebacks, and how Keras words its errors. Must not know what becomes of the error.
"""

from __future__ import annotations

import dis
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from bandstand.study.users_code.source_check import unknown_param
from bandstand.study.users_code.user_modules import served_folders
from bandstand_workers.training.user_code.read_params import WatchedParams

__all__ = ["essential_line", "missing_param", "place_of", "said_with_place"]

_INSTALLED = ("site-packages", "dist-packages")
_OURS = ("bandstand", "bandstand_spaces", "bandstand_workers")
_OPENINGS = ("Exception encountered when calling", "Graph execution error", "Detected at node", "Arguments received by")
"""Lines of Keras's and TensorFlow's messages that come before what is wrong."""
_LENGTH = 300


def essential_line(error: BaseException) -> str:
    """The line of an error's message that says what is wrong, without terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_OPENINGS) and not line.startswith(("(defined at", "•"))]
    return (telling or lines or ["no message"])[0][:_LENGTH]


def said_with_place(error: BaseException) -> str:
    """Such as `ValueError: units must be even (train.py:14)`; without a place where no line of the user's was run."""
    place = place_of(error)
    return f"{type(error).__name__}: {essential_line(error)}{f' ({place})' if place else ''}"


def place_of(error: BaseException) -> str | None:
    """`file:line` of the innermost line of the user's own code that an error passed through; None where none did."""
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename, "__main__"):
        return f"{_short(error.filename)}:{error.lineno}"
    places = [f"{_short(frame.f_code.co_filename)}:{line}" for frame, line in _frames(error) if _is_users_frame(frame)]
    return places[-1] if places else None


def missing_param(error: BaseException, params: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """What to say of a KeyError by which code asked its params for what is not among them; None for other errors.

    Args:
        error: was raised by a builder or a callbacks function.
        params: that it was given.
        names: of all parameters of the space, the ones that are not active here, too.

    Returns:
        Such as `train.py:14 asks for 'unit', which the space does not have: did you mean 'units'?`.
    """
    if not isinstance(error, KeyError) or len(error.args) != 1 or not isinstance(error.args[0], str):
        return None
    name, last = error.args[0], error.__traceback__
    while last is not None and last.tb_next is not None and not _is_watched(last.tb_next.tb_frame):
        last = last.tb_next
    if name in params or last is None or not _asks(last.tb_frame, last.tb_lasti, params):
        return None
    place = place_of(error) or "the code"
    if name in set(names):
        return (
            f"{place} reads {name!r}, which is in the space but not active with {_words(params)}: use "
            f"params.get({name!r}), or read it only where it is active"
        )
    return unknown_param(place, name, list(names))


def _is_watched(frame: FrameType) -> bool:
    """Whether a frame is of params that note who reads them, which a user's code has called unawares."""
    return frame.f_globals.get("__name__") == WatchedParams.__module__


def _asks(frame: FrameType, instruction: int, params: Mapping[str, Any]) -> bool:
    """Whether it is `params` that the frame has looked the key up in."""
    expression = _subscripted(frame, instruction)
    if expression is None:  # such as params.pop("unit")
        return False
    return _is_like(frame.f_locals.get(expression, frame.f_globals.get(expression)), params)


def _subscripted(frame: FrameType, instruction: int) -> str | None:
    """The name in front of the brackets, where the instruction that raised is `name[...]`; needs no source."""
    code = list(dis.get_instructions(frame.f_code))
    at = next((at for at, one in enumerate(code) if one.offset == instruction), 0)
    if at < 2 or not code[at].opname.startswith(("BINARY_SUBSCR", "BINARY_OP")):
        return None
    name = code[at - 2].argval
    return name if code[at - 2].opname.startswith("LOAD_") and isinstance(name, str) else None


def _is_like(value: Any, params: Mapping[str, Any]) -> bool:
    """Whether a value is `params`, or what is left of them."""
    if not isinstance(value, dict) or not value:
        return isinstance(value, dict) and value == params
    return all(name in params and params[name] is each for name, each in value.items())


def _words(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in params.items())[:120]


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame, step.tb_lineno
        step = step.tb_next


def _is_users_frame(frame: FrameType) -> bool:
    return _is_users(frame.f_code.co_filename, str(frame.f_globals.get("__name__")))


def _is_users(file: str, module: str) -> bool:
    """Whether code is neither Python's, nor installed, nor Bandstand's."""
    if file.startswith("<"):  # typed into a session: <stdin>, <ipython-input-3-…>
        return module == "__main__" or not file.startswith(("<frozen", "<string", "<__"))
    path = Path(os.path.realpath(file))
    if any(part in _INSTALLED for part in path.parts) or module.partition(".")[0] in _OURS:
        return False
    return not any(path.is_relative_to(folder) for folder in _libraries())


@cache
def _libraries() -> tuple[Path, ...]:
    found = {Path(os.path.realpath(sysconfig.get_path(kind))) for kind in ("stdlib", "platstdlib")}
    return (*found, Path(os.path.realpath(sys.base_prefix)) / "lib")


def _short(file: str) -> str:
    """A file's path, from the user's folder where it is below that."""
    if file.startswith("<"):
        return file
    path = Path(os.path.realpath(file))
    for folder in (*served_folders(), str(Path.cwd())):
        if path.is_relative_to(os.path.realpath(folder)):
            return str(path.relative_to(os.path.realpath(folder)))
    return path.name
