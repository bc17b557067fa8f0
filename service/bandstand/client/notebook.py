"""Functions of a notebook on their way to the cluster: a pickle, and a small module that loads it there.

Knows cloudpickle and archives' files. Only what imports the module unpickles, which is a job on the cluster: neither
this client nor the server ever does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from bandstand.client.fingerprint import fingerprint, globals_of
from bandstand.errors import InputError, one_line
from bandstand.submissions.code import MAX_CODE_BYTES

__all__ = ["NotebookCode", "pack_functions"]

_MODULE = '''"""Functions that were written in a notebook, as they were when their study was submitted."""

import pickle
import sys
from pathlib import Path

if sys.version_info[:2] != {version}:
    raise ImportError(
        "functions from a notebook need the Python that they were written with, {python}; this is "
        "%d.%d: use the same one, or put the functions into a module" % sys.version_info[:2]
    )

_functions = pickle.loads(Path(__file__).with_suffix(".pkl").read_bytes())
{names}
'''


@dataclass(frozen=True, kw_only=True)
class NotebookCode:
    """Functions, packed."""

    module: str
    """Its name holds a digest of the functions and all that they use: equal ones have equal names."""
    references: list[str]
    """`module:function` for each of the functions, in their order."""
    files: dict[str, bytes]
    """The module and its pickle, by their paths in an archive."""


def pack_functions(functions: Sequence[Callable[..., Any]], files: Sequence[bytes] = ()) -> NotebookCode:
    """Pack functions of an interactive session.

    Args:
        functions: they may use anything of the session that can be pickled; it travels with them as it is now.
        files: what travels beside them, so that the module's name tells it from others.

    Raises:
        InputError: something that they use cannot be pickled, or is too large.
    """
    names = _names_for(functions)
    by_name = dict(zip(names, functions, strict=True))
    pickled = _pickle(by_name)
    module = f"bandstand_notebook_{fingerprint(functions, files)}"
    version = sys.version_info[:2]
    source = _MODULE.format(
        version=version,
        python=f"{version[0]}.{version[1]}",
        names="\n".join(f"{name} = _functions[{name!r}]" for name in by_name),
    )
    return NotebookCode(
        module=module,
        references=[f"{module}:{name}" for name in names],
        files={f"{module}.py": source.encode(), f"{module}.pkl": pickled},
    )


def _names_for(functions: Sequence[Callable[..., Any]]) -> list[str]:
    """Each function's own name; a second one of the same name is numbered."""
    found: dict[str, Callable[..., Any]] = {}
    names = []
    for function in functions:
        name, number = function.__name__, 2
        while found.get(name, function) is not function:
            name, number = f"{function.__name__}_{number}", number + 1
        found[name] = function
        names.append(name)
    return names


def _pickle(functions: Mapping[str, Callable[..., Any]]) -> bytes:
    try:
        pickled = bytes(cloudpickle.dumps(dict(functions)))
    except Exception as error:  # noqa: BLE001  # whatever is pickled may raise anything
        raise InputError(
            f"what a notebook's functions use must be picklable; {_culprit(functions)} is not "
            f"({type(error).__name__}: {one_line(error)}): make it inside the function that needs it"
        ) from None
    if len(pickled) > MAX_CODE_BYTES:
        name, size = _largest(functions)
        raise InputError(
            f"functions and what they use must have at most {MAX_CODE_BYTES // 10**6} MB; got "
            f"{len(pickled) / 10**6:.0f}, of which {name!r} has {size / 10**6:.0f}: load it inside the function "
            "that needs it"
        )
    return pickled


def _used(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """What the functions read of the session, and by which name."""
    used: dict[str, Any] = {}
    waiting = list(functions.values())
    while waiting:
        for name, value in globals_of(waiting.pop()).items():
            if name not in used:
                used[name] = value
                if getattr(value, "__module__", "") == "__main__" and hasattr(value, "__code__"):
                    waiting.append(value)
    return used


def _culprit(functions: Mapping[str, Callable[..., Any]]) -> str:
    for name, value in _used(functions).items():
        try:
            if getattr(value, "__module__", "") != "__main__":
                cloudpickle.dumps(value)
        except Exception:  # noqa: BLE001  # as above
            return f"{name!r}, of type {type(value).__name__},"
    return f"something in {' or '.join(functions)}"


def _largest(functions: Mapping[str, Callable[..., Any]]) -> tuple[str, int]:
    sizes = {name: len(cloudpickle.dumps(value)) for name, value in _used(functions).items()}
    name = max(sizes, key=lambda each: sizes[each], default="")
    return (name, sizes[name]) if name else ("a closure", 0)
