"""Looks whether the modules that a study names are there, without importing them.

A moment's work before half a minute of starting trainers. What is in the modules, the trainers find out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder

from bandstand.errors import InputError
from bandstand.study.references import InteractiveReference, rule_of
from bandstand.study.study import StudySpec

__all__ = ["check_files", "check_modules"]


def check_files(spec: StudySpec) -> None:
    """Refuse a study of functions that live in no file, where nothing takes them along.

    Raises:
        InputError: there is one.
    """
    for role, reference in _references(spec):
        if isinstance(reference, InteractiveReference):
            raise InputError(f"{role} {rule_of(reference)}")


def check_modules(spec: StudySpec, code_path: Sequence[str]) -> None:
    """Refuse a study whose modules cannot be found.

    Args:
        spec: the study.
        code_path: folders in which the user's modules are looked for, besides what is installed.

    Raises:
        InputError: a module is nowhere.
    """
    for role, reference in _references(spec):
        module = reference.partition(":")[0].partition(".")[0]
        if module not in sys.modules and PathFinder.find_spec(module, [*code_path, *sys.path]) is None:
            raise InputError(
                f"{role} must be importable; {reference!r} is not: there is no module {module!r}: put it beside the "
                "study file or into the current folder, or install it"
            )


def _references(spec: StudySpec) -> list[tuple[str, str]]:
    return [("model", spec.model), ("data", spec.data), *(("callbacks", reference) for reference in spec.callbacks)]
