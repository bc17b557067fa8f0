"""Pieces of Markdown that read well on a Git host and on the site.

Knows Markdown. Must not know what a page is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["anchor", "code", "page", "table"]

_COMMAND = "make reference"


def page(title: str, *parts: str) -> str:
    """A whole page, with a comment that says by which command it was written.

    The heading comes first, because MkDocs takes a page's title from its first line.
    """
    head = f"# {title}\n\n<!-- Written from the code by `{_COMMAND}`; change it there. -->"
    return "\n\n".join((head, *(part.strip("\n") for part in parts if part.strip()))) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. A cell is one line: newlines become spaces, and bars are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"|{'|'.join(_cell(cell) for cell in line)}|" for line in lines)


def code(text: object) -> str:
    """A text as code."""
    return f"`{text}`"


def anchor(heading: str) -> str:
    """The address of a heading within its page, as Git hosts and the site make it."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def _cell(text: str) -> str:
    return f" {' '.join(text.split())} ".replace("|", "\\|") if text.strip() else " "
