"""Functions that no module holds, packed: a pickle, and a small module that loads it where they train.

Knows cloudpickle and archives' files. Only what imports the module unpickles, which is a process that trains: neither
this one nor a server ever does.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from bandstand.errors import InputError, one_line
from bandstand.study.references import InteractiveReference, is_held_by_its_module
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.code_archive import MAX_CODE_BYTES
from bandstand.study.users_code.function_fingerprint import content_of, fingerprint, globals_of

__all__ = ["PackedFunctions", "is_packed", "loose_functions", "pack_functions", "with_packed"]

MODULE_PREFIX = "bandstand_notebook_"
"""Of the modules that hold packed functions; databases hold references that begin so."""
_MODULE = '''"""Functions that no module held, as they were when their study was submitted or run."""

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
class PackedFunctions:
    """Functions, packed."""

    module: str
    """Its name holds a digest of the functions and all that they use: equal ones have equal names."""
    references: list[str]
    """`module:function` for each of the functions, in their order."""
    files: dict[str, bytes]
    """The module and its pickle, by their paths in a folder."""


def loose_functions(spec: StudySpec) -> list[InteractiveReference]:
    """The functions of a study that no module holds."""
    return [one for one in spec.references if isinstance(one, InteractiveReference)]


def with_packed(spec: StudySpec, packed: PackedFunctions) -> StudySpec:
    """The study with the names that its loose functions have, now that they are packed."""
    names = iter(packed.references)
    model, data, *callbacks = [next(names) if isinstance(one, InteractiveReference) else one for one in spec.references]
    return spec.model_copy(update={"model": model, "data": data, "callbacks": tuple(callbacks)})


def is_packed(reference: str) -> bool:
    """Whether a reference names a function that was packed."""
    return reference.startswith(MODULE_PREFIX)


def pack_functions(references: Sequence[InteractiveReference], files: Sequence[bytes] = ()) -> PackedFunctions:
    """Pack functions that no module holds.

    Args:
        references: to the functions, which may use anything that can be pickled; it travels with them as it is now.
        files: what travels beside them, so that the module's name tells it from others.

    Raises:
        InputError: something that they use cannot be pickled, or is too large.
    """
    functions = [reference.function for reference in references]
    names = _names_for(references)
    by_name = dict(zip(names, functions, strict=True))
    pickled = _pickle(by_name)
    module = f"{MODULE_PREFIX}{fingerprint(functions, files)}"
    version = sys.version_info[:2]
    source = _MODULE.format(
        version=version,
        python=f"{version[0]}.{version[1]}",
        names="\n".join(f"{name} = _functions[{name!r}]" for name in by_name),
    )
    return PackedFunctions(
        module=module,
        references=[f"{module}:{name}" for name in names],
        files={f"{module}.py": source.encode(), f"{module}.pkl": pickled},
    )


def _names_for(references: Sequence[InteractiveReference]) -> list[str]:
    """Each function's own name; a second one of the same name is numbered."""
    found: dict[str, Callable[..., Any]] = {}
    names = []
    for reference in references:
        name, number = reference.short_name, 2
        while found.get(name, reference.function) is not reference.function:
            name, number = f"{reference.short_name}_{number}", number + 1
        found[name] = reference.function
        names.append(name)
    return names


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """The process's environment, which holds secrets, never travels: the other process has its own."""

    dispatch_table = cloudpickle.Pickler.dispatch_table.new_child(
        {type(os.environ): lambda _: (getattr, (os, "environ"))}
    )


def _dumps(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


def _pickle(functions: Mapping[str, Callable[..., Any]]) -> bytes:
    try:
        pickled = _dumps(dict(functions))
    except Exception as error:  # noqa: BLE001  # whatever is pickled may raise anything
        raise InputError(
            f"a function that is in no module may use only what can be pickled; {_culprit(functions)} cannot be "
            f"({type(error).__name__}: {one_line(error)}): create it inside the function that needs it"
        ) from None
    if len(pickled) > MAX_CODE_BYTES:
        name, size = _largest(functions)
        raise InputError(
            f"functions and what they use must have at most {MAX_CODE_BYTES // 10**6} MB together; got "
            f"{len(pickled) / 10**6:.0f} MB, of which {name!r} has {size / 10**6:.0f} MB: load it inside the function "
            "that needs it"
        )
    return pickled


def _used(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """What the functions read, or hold, and by which name."""
    used: dict[str, Any] = {}
    waiting: list[Any] = list(functions.values())
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        for name, value in _parts_of(each).items():
            used.setdefault(name, value)
            if callable(value) and not is_held_by_its_module(value):
                waiting.append(value)
    return used


def _parts_of(function: Any) -> dict[str, Any]:
    """What a function is made of beside its code, by name."""
    if isinstance(function, functools.partial):
        arguments = {f"argument {number}": value for number, value in enumerate(function.args, start=1)}
        return {**arguments, **function.keywords, _name_of(function.func): function.func}
    if isinstance(function, types.MethodType):
        owner = type(function.__self__).__name__
        own = {f"{owner}.{name}": value for name, value in getattr(function.__self__, "__dict__", {}).items()}
        return own | _parts_of(function.__func__)
    if not isinstance(function, types.FunctionType):
        kind = type(function)
        own = {f"{kind.__name__}.{name}": value for name, value in getattr(function, "__dict__", {}).items()}
        return own if isinstance(function, type) else own | globals_of(kind.__call__)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return globals_of(function) | {name: content_of(cell) for name, cell in cells}


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _culprit(functions: Mapping[str, Callable[..., Any]]) -> str:
    for name, value in _used(functions).items():
        try:
            if not isinstance(value, types.FunctionType):
                _dumps(value)
        except Exception:  # noqa: BLE001  # as above
            return f"{name!r}, of type {type(value).__name__},"
    return f"something in {' or '.join(functions)}"


def _largest(functions: Mapping[str, Callable[..., Any]]) -> tuple[str, int]:
    sizes = {name: len(_dumps(value)) for name, value in _used(functions).items()}
    name = max(sizes, key=lambda each: sizes[each], default="")
    return (name, sizes[name]) if name else ("a closure", 0)
