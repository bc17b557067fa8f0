"""What an installation of Bandstand brings, by the metadata of what is installed here.

Knows installed distributions and `constraints.txt`. Must not know what a release is.
"""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["distributions_of", "pinned"]


def distributions_of(*extras: str) -> set[str]:
    """The distributions that an installation with these extras has, Bandstand included, by their normal names.

    What is required only by another system or Python is left out.
    """
    seen: set[tuple[str, str]] = set()
    waiting = [("bandstand", extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for requirement in map(Requirement, _requires(name)):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    return {name for name, _ in seen}


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def pinned(constraints: str, names: set[str]) -> str:
    """The lines of `constraints.txt` for these distributions."""
    lines = [line for line in constraints.splitlines() if canonicalize_name(line.split("==")[0]) in names]
    return "".join(f"{line}\n" for line in lines)
