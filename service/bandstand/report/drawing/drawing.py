"""What a figure's file hands to the page: a plotly figure with its caption and, where numbers say more, a table.

Captions and tables are plain text: the page escapes them. Text inside a figure is escaped where the figure is made,
because plotly reads a little HTML there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Drawing", "Table"]


class Table(NamedTuple):
    """A table of plain text. The first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Drawing(NamedTuple):
    """A figure and what to see in it."""

    figure: go.Figure
    caption: str
    table: Table | None = None
