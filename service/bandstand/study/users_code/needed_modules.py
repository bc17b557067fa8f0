"""The installed modules that Bandstand stands on: its own, and those of everything that it is built on.

Knows what installed distributions say of themselves. Must not know who asks.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata

__all__ = ["needed_modules"]

_DISTRIBUTION = "bandstand"
_EXTRAS = frozenset({"workers", "server", "parquet"})
"""Those whose packages Bandstand imports where they are installed; `workers` and `server` include `dashboard`."""
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@cache
def needed_modules() -> frozenset[str]:
    """Their names at the top level; takes a second, once a process."""
    needed = _needed_distributions()
    owners = metadata.packages_distributions()
    modules = {module for module, names in owners.items() if any(_normal(name) in needed for name in names)}
    return frozenset(modules | {"bandstand", "bandstand_spaces", "bandstand_workers"})


def _needed_distributions() -> set[str]:
    """Bandstand's distribution and those that it requires, and so on, with the extras that are asked for."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(_DISTRIBUTION, _EXTRAS)]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += _required_by(*one)
    return {name for name, _ in seen}


def _required_by(distribution: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """What a distribution requires, each with its extras; nothing if it is not installed."""
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for requirement in requirements:
        wanted, _, marker = requirement.partition(";")
        extra = _EXTRA.search(marker)
        match = _REQUIREMENT.match(wanted.strip())
        if match is not None and (extra is None or extra[1] in extras):
            more = frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip())
            found.append((_normal(match[1]), more))
    return found


def _normal(name: str) -> str:
    """A distribution's name in the form in which all spellings are one (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
