"""Trials with their parents, laid out for a drawing: which stand on one line, which led to the best.

Knows trials as a frame. Must not know how they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bandstand.report.drawing.sampling import sample_evenly
from bandstand.store.records import StudyRecord
from bandstand.strategies import facts_of

__all__ = ["DrawnTrial", "Step", "best_path", "lay_out", "read_members", "related"]


class DrawnTrial(NamedTuple):
    """One trial."""

    trial: int
    parent: int | None
    first: int  # epoch after which it began, as its lineage counts
    last: int  # epoch it reached
    state: str
    value: float | None
    origin: str
    slot: int  # its bracket; of a population, the member
    inherited: int  # the epoch of its parent whose weights it began with; 0 without a parent


class Step(NamedTuple):
    """What one trial contributed to the best."""

    trial: int
    first: int  # epoch, counted from 1
    last: int
    origin: str


def read_members(record: StudyRecord) -> list[DrawnTrial]:
    """All trials, in their order."""
    trials = record.trials
    takes_best = facts_of(record.spec).inherits_best
    best_epochs = dict(zip(trials["number"], trials["best_epoch"], strict=True))
    columns = ("number", "parent", "from_epoch", "epochs", "state", "value", "origin", "bracket")
    return [
        DrawnTrial(
            int(number),
            None if pd.isna(parent) else int(parent),
            int(first),
            int(first) + int(epochs),
            str(state),
            None if pd.isna(value) else float(value),
            str(origin or ""),
            int(slot),
            int(best_epochs[parent]) if takes_best and first > 0 else int(first),
        )
        for number, parent, first, epochs, state, value, origin, slot in zip(
            *(trials[column] for column in columns), strict=True
        )
    ]


def best_path(members: Mapping[int, DrawnTrial], trial: int, last_epoch: int) -> list[Step]:
    """The way from fresh weights to a trial at an epoch, the oldest first; `members` by trial."""
    path: list[Step] = []
    while True:
        member = members[trial]
        if last_epoch > member.first:
            path.append(Step(trial, member.first + 1, last_epoch, member.origin))
        if member.parent is None or not member.first:
            return path[::-1]
        trial, last_epoch = member.parent, member.inherited


def related(members: Sequence[DrawnTrial], *, by_slot: bool) -> list[DrawnTrial]:
    """Those that have a parent or a child, or with `by_slot` belong to a population, which are all."""
    parents = {member.parent for member in members if member.parent is not None}
    return [member for member in members if by_slot or member.parent is not None or member.trial in parents]


def lay_out(members: Sequence[DrawnTrial], keep: Sequence[int], limit: int, *, by_slot: bool) -> dict[int, int]:
    """Trial -> line, counted from 0. A child stands on its parent's line where that is free.

    Args:
        members: in their order.
        keep: trials that must be among those laid out.
        limit: trials at most; families of several are preferred, and spread evenly where they are too many.
        by_slot: whether trials of one slot follow one another, as in a population.
    """
    must = set(keep)
    others = [member for member in related(members, by_slot=by_slot) if member.trial not in must]
    chosen = {member.trial for member in sample_evenly(others, max(0, limit - len(must)))}
    lines: dict[int, int] = {}
    taken: list[list[tuple[int, int]]] = []
    slots: dict[int, int] = {}
    for member in members:
        if member.trial not in chosen and member.trial not in must:
            continue
        own = slots.get(member.slot) if by_slot else lines.get(-1 if member.parent is None else member.parent)
        if own is None or any(member.first < last and first < member.last for first, last in taken[own]):
            own = len(taken)
            taken.append([])
        taken[own].append((member.first, member.last))
        lines[member.trial] = own
        slots.setdefault(member.slot, own)
    return lines
