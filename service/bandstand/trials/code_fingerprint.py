"""Fingerprints of the code that trains a study's trials, and what changed between two of them.

Knows names of parts and digests. Must not know sources, nor who made the fingerprints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["CodePrint", "changed_parts", "note_on_code", "refusal_of_code"]

_NAMED = 3  # parts that a message names; of more it gives the number


@dataclass(frozen=True, kw_only=True, slots=True)
class CodePrint:
    """What is known of the code: one digest a part."""

    python: str = ""
    """Version of Python that read the sources, such as `3.11`. Digests of two versions cannot be compared."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """By part, such as `train.py: build`, 12 digits of a SHA-256 of its source without comments and docstrings."""


def changed_parts(first: CodePrint, second: CodePrint, *, in_both: bool = False) -> list[str]:
    """The parts that are not the same in both; none where the two cannot be compared.

    Args:
        first: one of them.
        second: the other.
        in_both: leave out parts that only one of them has, as where one process cannot see all of the code.
    """
    if first.python != second.python or not first.parts or not second.parts:
        return []
    parts = first.parts.keys() & second.parts.keys() if in_both else first.parts.keys() | second.parts.keys()
    return sorted(part for part in parts if first.parts.get(part) != second.parts.get(part))


def refusal_of_code(changed: Sequence[str], since: str) -> str:
    """Why a study is refused whose code has changed, and the way out: one line.

    Args:
        changed: parts.
        since: when, such as `study 'digits' was trained`.
    """
    return (
        f"code must stay the same while a study is trained; {_listed(changed)} changed since {since}: choose another "
        "name for the study, restore the code, or accept the difference (--code-may-differ; in Python "
        "code_may_differ=True)"
    )


def note_on_code(changed: Sequence[str]) -> str:
    """What a study says whose code has changed before it went on."""
    return (
        f"not all epochs were trained with the same code: {_listed(changed)} changed before the study continued. This "
        "was allowed, so values of trials may not be comparable"
    )


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _NAMED
    named = ", ".join(parts[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named
