"""Functions, and what stands around them, taken in: a library's by name, the user's by all that they read.

Knows how Python makes functions. Must not know what code reads: see `code_reads`.
"""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

from bandstand_workers.programs.python_state.code_origin import is_users, is_users_module
from bandstand_workers.programs.python_state.code_reads import read_code
from bandstand_workers.programs.python_state.walk import Walk

__all__ = ["accessor", "builtin", "by_name", "function", "is_found_by_name", "method", "partial", "wrapper"]


def function(walk: Walk, value: Any) -> None:
    """By name where it is a library's; else by code, defaults, closure and the globals it uses."""
    if is_found_by_name(value):
        # What a library's decorator holds, such as TensorFlow's dispatch, is the library's.
        by_name(walk, value)
        return
    module = value.__globals__.get("__name__", value.__module__)  # `wraps` copies the other
    users = is_users_module(module or "__main__")
    walk.tokens.append(f"function {module}:{value.__qualname__}")
    walk.ask_certainty(value, module, value.__qualname__)
    for cell in value.__closure__ or ():
        walk.step("()", _content_of(cell))
    if users or value.__closure__:
        for each in (value.__defaults__, value.__kwdefaults__):
            walk.visit(each)
    if users:
        read_code(walk, value)
        walk.visit({name: each for name, each in vars(value).items() if name != "__wrapped__"})


def by_name(walk: Walk, value: Any) -> None:
    """What a library has under its name."""
    walk.tokens.append(f"function {value.__module__}:{value.__qualname__}")
    walk.ask_certainty(value, value.__module__, value.__qualname__)


def method(walk: Walk, value: types.MethodType) -> None:
    """Of an object."""
    walk.visit(value.__func__)
    walk.step(".self", value.__self__)


def builtin(walk: Walk, value: Any) -> None:
    """A function written in C."""
    walk.tokens.append(f"builtin {value.__module__} {value.__qualname__}")
    walk.ask_certainty(value, value.__module__, value.__qualname__)
    if not isinstance(value.__self__, types.ModuleType | type(None)):
        walk.step(".self", value.__self__)


def wrapper(walk: Walk, value: Any) -> None:
    """What stands around a function and calls it."""
    walk.tokens.append(type(value).__name__)
    function = _within(value)
    if hasattr(value, "cache_info") and isinstance(function, types.FunctionType) and is_users(function):
        walk.not_understood(value, "which remembers answers")
    walk.step(".function", function)


def partial(walk: Walk, value: functools.partial[Any]) -> None:
    """A function with some arguments."""
    walk.tokens.append("partial")
    for each in (value.func, value.args, value.keywords):
        walk.visit(each)


def accessor(walk: Walk, value: Any) -> None:
    """A property, or one computed once."""
    walk.tokens.append(type(value).__name__)
    for name in ("fget", "fset", "func", "__func__"):
        walk.visit(getattr(value, name, None))


def is_found_by_name(value: Any) -> bool:
    """Whether a function is what its library's module has under its name, so that no user has made it."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module not in sys.modules or not callable(value):
        return False
    return vars(sys.modules[module]).get(name) is value and not is_users_module(module)


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _within(value: Any) -> Any:
    for name in ("python_function", "_python_function", "__wrapped__", "__func__"):
        if hasattr(value, name):
            return getattr(value, name)
    raise TypeError("a wrapper must say what it wraps")
