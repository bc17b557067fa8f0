"""Containers, taken in with all that they hold.

Knows their order, or that they have none. Must not know what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bandstand_workers.programs.python_state.walk import ATOMS, Walk

__all__ = ["mapping", "sequence", "several"]


def mapping(walk: Walk, value: Mapping[Any, Any]) -> None:
    """With keys in their order, which code may follow."""
    walk.tokens.append(f"mapping {len(value)}")
    for key, each in value.items():
        walk.visit(key)
        walk.step(f"[{key!r:.60}]", each)


def sequence(walk: Walk, value: Iterable[Any]) -> None:
    """In its order."""
    values = list(value)
    walk.tokens.append(f"sequence {len(values)}")
    for place, each in enumerate(values):
        walk.step(f"[{place}]", each)


def several(walk: Walk, value: Iterable[Any]) -> None:
    """A set: by what was met already, or by text."""
    known, atoms = [], []
    for each in value:
        if type(each) in ATOMS:
            atoms.append(repr(each))
        elif id(each) in walk.places:
            known.append(walk.places[id(each)])
        else:
            walk.not_understood(each, "in a set, which has no order")
    walk.tokens.append(f"set {sorted(atoms)} {sorted(known)}")
