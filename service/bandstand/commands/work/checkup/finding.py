"""One line of a check-up.

Knows what a line says. Must not know what is examined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "ok", "problem", "surely", "warning"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one part."""

    part: str
    level: Literal["ok", "warning", "problem"]
    message: str
    """What is there. It holds no secret."""
    advice: str = ""
    """What to do; empty where nothing is to be done."""


def ok(part: str, message: str) -> Finding:
    """All is well with this part."""
    return Finding(part=part, level="ok", message=message)


def warning(part: str, message: str, advice: str) -> Finding:
    """It works, and may not for long."""
    return Finding(part=part, level="warning", message=message, advice=advice)


def problem(part: str, message: str, advice: str) -> Finding:
    """Something does not work."""
    return Finding(part=part, level="problem", message=message, advice=advice)


def surely(part: str, examine: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What an examination finds; if it fails itself, that is a warning, and the others go on."""
    try:
        return list(examine())
    except Exception as error:  # noqa: BLE001  # a sick machine is what this command is for
        return [warning(part, f"it cannot be examined: {type(error).__name__}", "run the other commands to see more")]
