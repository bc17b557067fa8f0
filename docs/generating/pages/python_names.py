"""The public names of a package as a page. mkdocstrings puts their docstrings on the site, without importing them.

Knows the directive of mkdocstrings. Must not know which packages there are.
"""

from __future__ import annotations

from collections.abc import Mapping

from docs.generating.markdown import anchor, code, table

__all__ = ["names_of"]


def names_of(package: str, docstrings: Mapping[str, str]) -> str:
    """A table of names with their summaries, and a section for each name.

    Args:
        package: that exports them.
        docstrings: of the names, in this order.
    """
    rows = [(f"[{code(name)}](#{anchor(name)})", text.split("\n\n")[0]) for name, text in docstrings.items()]
    sections = (f"### {name}\n\n::: {package}.{name}" for name in docstrings)
    return "\n\n".join((table(("name", "what it is"), rows), *sections))
