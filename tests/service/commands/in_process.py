"""Commands run in the test's own process: what `bandstand` said and ended with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Bandstand", "Said"]


class Said(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


Bandstand = Callable[..., Said]
"""Runs `bandstand` with these arguments."""
