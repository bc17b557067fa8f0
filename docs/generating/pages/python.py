"""The public names of `bandstand`, `bandstand.client` and the modules beside them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import ModuleType

import bandstand
import bandstand.client
import bandstand.learning_rates
from docs.generating.markdown import page
from docs.generating.pages.python_names import names_of

__all__ = ["make"]


def make() -> str:
    """The page."""
    client = [name for name in bandstand.client.__all__ if name not in bandstand.__all__]
    return page(
        "Python",
        "These names are public. Each is imported when it is first asked for, so `import bandstand` is quick.",
        "## `bandstand`",
        _names(bandstand, bandstand.__all__),
        "## `bandstand.client`",
        "Of what `Client` returns, these two classes have no name in `bandstand`.",
        _names(bandstand.client, client),
        "## `bandstand.learning_rates`",
        _names(bandstand.learning_rates, ("Cycle", "Reset")),
    )


def _names(module: ModuleType, names: Iterable[str]) -> str:
    return names_of(module.__name__, {name: inspect.getdoc(getattr(module, name)) or "" for name in names})
