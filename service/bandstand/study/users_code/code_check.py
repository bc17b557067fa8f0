"""Looks whether the modules that a study names are there, without importing them.

A moment's work before half a minute of starting trainers. What is in the modules, the trainers find out.
"""

from __future__ import annotations

from collections.abc import Sequence

from bandstand.errors import InputError
from bandstand.study.references import InteractiveReference
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import find_clash, find_clashes, find_module

__all__ = ["check_files", "check_modules", "check_names", "clash_notes"]


def check_files(spec: StudySpec) -> None:
    """Refuse a study of functions that no module holds, where trainers do not see this machine's files.

    Raises:
        InputError: there is one.
    """
    for role, reference in spec.named_references:
        if isinstance(reference, InteractiveReference):
            raise InputError(
                f"{role} must be in a module if RAY_ADDRESS names a cluster; {reference.short_name!r} is in none: "
                "put it into a module that the cluster has, or submit the study with bandstand.Client, which sends "
                "the function"
            )


def check_modules(spec: StudySpec, folders: Sequence[str]) -> None:
    """Refuse a study whose modules cannot be found, or whose names belong to others.

    Args:
        spec: the study.
        folders: in which the user's modules are looked for, besides what is installed.

    Raises:
        InputError: a module is nowhere, or the user's is not the one that would be imported.
    """
    check_names(spec, folders)
    for role, reference in spec.named_references:
        module = reference.partition(":")[0]
        if find_module(module, folders) is None:
            way_out = "put the module beside the study file or into the current folder, or install it"
            raise InputError(
                f"{role} must be importable; {reference!r} is not, because there is no module {module!r}: "
                f"{_renamed(reference) or way_out}"
            )


def check_names(spec: StudySpec, folders: Sequence[str]) -> None:
    """Refuse a study that names a module of the user's whose name belongs to another.

    Raises:
        InputError: it does.
    """
    for role, reference in spec.named_references:
        clash = None if isinstance(reference, InteractiveReference) else find_clash(_top_of(reference), folders)
        if clash is not None:
            raise InputError(f"{role} must be importable; {reference!r} is not: {clash}")


def clash_notes(spec: StudySpec, folders: Sequence[str]) -> list[str]:
    """What to say of modules of the user's that the study's code seems to import, but does not get.

    Args:
        spec: the study.
        folders: in which the user's modules are looked for.
    """
    modules = dict.fromkeys(reference.partition(":")[0] for _, reference in spec.named_references)
    return list(dict.fromkeys(clash for module in modules for clash in find_clashes(module, folders)))


def _top_of(reference: str) -> str:
    return reference.partition(":")[0].partition(".")[0]


def _renamed(reference: str) -> str | None:
    """The way out for a name that was Bandstand's own before its packages had names of their own."""
    if not reference.startswith(("workers.", "search_spaces.")):
        return None
    return f"write 'bandstand_{reference.replace('search_spaces', 'spaces', 1)}', if it is a module of Bandstand"
