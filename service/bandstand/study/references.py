"""References: how a study names a user's functions, `module:function`, and functions that no module holds.

Knows functions and names. Must not know what the functions are for, nor how they get to where they run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import WithJsonSchema, WrapValidator

__all__ = ["INTERACTIVE", "InteractiveReference", "Reference", "rule_of"]

INTERACTIVE = "__main__"
"""The module of a reference to a function that was typed into a notebook or an interactive session."""


class InteractiveReference(str):
    """The name of a function that lives in no file, with the function itself, as it was when it was named.

    `Client.submit` takes the function along. Written down, only the text is left, which nobody can import, and which
    is refused wherever a study comes from text.
    """

    function: Callable[..., Any]

    def __new__(cls, function: Callable[..., Any]) -> InteractiveReference:
        """The reference `__main__:function`."""
        reference = super().__new__(cls, f"{INTERACTIVE}:{function.__name__}")
        reference.function = function
        return reference

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
    if callable(value) and hasattr(value, "__qualname__"):
        return check(_name_of(value)) if not _is_interactive(value) else InteractiveReference(value)
    raise ValueError(f"must be module:function or a function; got {type(value).__name__}")


def _name_of(function: Callable[..., Any]) -> str:
    if not function.__qualname__.isidentifier():
        raise ValueError(
            f"must be a function at the top of a module, because workers import it; got {function.__qualname__!r}"
        )
    module = function.__module__
    if module == "__main__":
        module = _name_of_script(sys.modules["__main__"])
    return f"{module}:{function.__qualname__}"


def _name_of_script(main: ModuleType) -> str:
    """What a worker can import the running script by: `package.tune` for `python -m package.tune`."""
    spec = getattr(main, "__spec__", None)
    name = None if spec is None else str(spec.name).removesuffix(".__main__")
    return name if name and "." in name else Path(str(_file_of(main))).stem


def _is_interactive(function: Callable[..., Any]) -> bool:
    """Whether a function was typed into a notebook or an interactive session."""
    main = sys.modules["__main__"]
    if function.__module__ != "__main__" or not function.__name__.isidentifier():
        return False
    code = getattr(function, "__code__", None)
    typed = code is not None and code.co_filename.startswith("<")  # <stdin>, <python-input-3>, <ipython-input-3-…>
    return _file_of(main) is None or typed


def _file_of(main: ModuleType) -> str | None:
    return getattr(main, "__file__", None)


def rule_of(reference: str) -> str:
    """What is asked of a function that was named where only modules are known, and the way out."""
    return (
        f"must live in a file, because workers import it; got {reference!r}, a function typed into an interactive "
        "session: put it into a module, say train.py, and name it train:build, or submit the study to a server by "
        "bandstand.Client, which takes such functions along"
    )


Reference = Annotated[str, WrapValidator(_reference_from), WithJsonSchema({"type": "string"})]
"""The field of a study that names a function."""
