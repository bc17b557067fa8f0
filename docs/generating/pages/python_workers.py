"""The public names of `bandstand_workers`."""

from __future__ import annotations

from pathlib import Path

import griffe

import bandstand_workers
from docs.generating.markdown import page
from docs.generating.pages.python_names import names_of

__all__ = ["make"]

ROOT = Path(__file__).parents[3]


def make() -> str:
    """The page."""
    return page(
        "Python: bandstand_workers",
        "These names are for the builders and callbacks of studies. They bring Keras, so they need the extra "
        "`workers`.",
        names_of("bandstand_workers", _docstrings()),
    )


def _docstrings() -> dict[str, str]:
    """Read, not imported: Keras would come along."""
    home = griffe.load("bandstand_workers.learning_rates", search_paths=[ROOT / "workers"], resolve_aliases=True)
    found = {name: home[name].docstring for name in bandstand_workers.__all__}
    return {name: docstring.value if docstring else "" for name, docstring in found.items()}
