"""References: how a study names a user's functions, `module:function`, and functions that no module holds.

Knows functions and names. Must not know what the functions are for, nor how they get to where they run.
"""

from __future__ import annotations

import functools
import keyword
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import WithJsonSchema, WrapValidator

__all__ = ["INTERACTIVE", "InteractiveReference", "Reference", "is_held_by_its_module", "rule_of"]

INTERACTIVE = "__main__"
"""The module of a reference to a function that no module holds."""


class InteractiveReference(str):
    """The name of a function that no module holds, with the function itself, as it was when it was named.

    It was typed into a notebook or an interactive session, or made by another function; or it is a `functools.partial`,
    a bound method or an object with `__call__`. `bandstand.study.users_code` takes it to where it trains.
    Written down, only the text is left, which nobody can import, and which is refused wherever a study comes from text.
    """

    function: Callable[..., Any]

    def __new__(cls, function: Callable[..., Any]) -> InteractiveReference:
        """The reference `__main__:function`."""
        reference = super().__new__(cls, f"{INTERACTIVE}:{_short_name(function)}")
        reference.function = function
        return reference

    @property
    def short_name(self) -> str:
        """What to call the function in a module of its own."""
        return self.partition(":")[2]

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def _reference_from(value: Any, check: Callable[[Any], str]) -> str:
    """`module:function` from a function, so that a study written in Python can name its own functions."""
    if isinstance(value, InteractiveReference):
        return value
    if isinstance(value, str):
        module, _, function = value.partition(":")
        if not module or not function or not all(part.isidentifier() for part in [*module.split("."), function]):
            raise ValueError(f"must be written module:function, such as train:build; got {value!r}")
        if module == INTERACTIVE:
            raise ValueError(rule_of(value))
        return check(value)
    if not callable(value) or (hasattr(value, "fit") and not isinstance(value, type)):
        raise ValueError(
            "must be a function or its name as module:function, because each trial calls it; got "
            f"{type(value).__name__}: return it from a function"
        )
    name = _name_of(value)
    return InteractiveReference(value) if name is None else check(name)


def _name_of(function: Any) -> str | None:
    """`module:function` by which a worker can import a function; None where no module holds it."""
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None)
    if isinstance(function, types.MethodType) or not name.isidentifier() or not isinstance(module, str):
        return None
    if _is_typed(function) or (module in sys.modules and getattr(sys.modules[module], name, None) is not function):
        return None
    if module == "__main__":
        module = _name_of_script(sys.modules["__main__"])
    return f"{module}:{name}" if all(part.isidentifier() for part in module.split(".")) else None


def is_held_by_its_module(definition: Any) -> bool:
    """Whether a function or a class is what an import of its name gives, in another process, too."""
    module, found = getattr(definition, "__module__", None), None
    if module is not None and module != "__main__":
        found = functools.reduce(
            lambda each, part: getattr(each, part, None), definition.__qualname__.split("."), sys.modules.get(module)
        )
    return found is definition


def _name_of_script(main: ModuleType) -> str:
    """What a worker can import the running script by: `package.tune` for `python -m package.tune`."""
    spec = getattr(main, "__spec__", None)
    name = None if spec is None else str(spec.name).removesuffix(".__main__")
    return name if name and "." in name else Path(str(_file_of(main))).stem


def _is_typed(function: Any) -> bool:
    """Whether a function was typed into a session, or is of a text that was executed, so that no file has it."""
    code = getattr(function, "__code__", None)
    if code is not None and code.co_filename.startswith("<"):  # <stdin>, <python-input-3>, <ipython-input-3-…>
        return True
    return bool(function.__module__ == "__main__" and _file_of(sys.modules["__main__"]) is None)


def _short_name(function: Any) -> str:
    """A function's name as a module may have it; of an object that of its class."""
    while isinstance(function, functools.partial):
        function = function.func
    name = str(getattr(function, "__name__", type(function).__name__))
    return name if name.isidentifier() and not keyword.iskeyword(name) else "function"


def _file_of(main: ModuleType) -> str | None:
    return getattr(main, "__file__", None)


def rule_of(reference: str) -> str:
    """What is asked of a function that was named where only modules are known, and the way out."""
    return (
        f"must be in a module if the study is read from text; got {reference!r}, a function of an interactive session: "
        "put it into a module such as train.py and write train:build, or pass the function itself in Python"
    )


Reference = Annotated[str, WrapValidator(_reference_from), WithJsonSchema({"type": "string"})]
"""The field of a study that names a function."""
