"""Tables for people, on a terminal of any width or in a pipe, with every number whole.

Knows cells and columns. Must not know what they are about.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["make_console", "print_table"]

_GAP = 2
"""Columns of the terminal between two of a table."""
_LEAST_FOLDED = 16
"""What a column that may be folded is left with at least, where its text is as long as that."""
_PIPE_WIDTH = 1_000_000
"""More than any table has: what goes into a file or another program is never folded."""


def make_console(**options: Any) -> Console:
    """The terminal, or what standard output goes into instead, which is as wide as its widest table."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, **options)


def print_table(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    folded: Collection[int] = (0,),
    left: Collection[int] = (),
) -> None:
    """Print a table. Where it is too wide, texts are folded, then columns follow below, each with the first one again.

    Args:
        console: where to; its width is what the table has to fit into.
        header: a heading for each column.
        rows: cells as text, as many as there are headings; markup has no meaning in them.
        folded: places of the columns whose text may go on in a second line; all others are printed whole.
        left: places of further columns that are aligned to the left, as those that may be folded are.
    """
    widths = [max(cell_len(line[place]) for line in (header, *rows)) for place in range(len(header))]
    needed = [min(width, _LEAST_FOLDED) if place in folded else width for place, width in enumerate(widths)]
    for index, places in enumerate(_blocks(needed, console.width)):
        if index:
            console.print()
        table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
        for place in places:
            is_text = place in folded
            table.add_column(
                Text(header[place]),
                justify="left" if is_text or place in left else "right",
                overflow="fold",
                no_wrap=not is_text,
                min_width=needed[place],
            )
        for row in rows:
            table.add_row(*(Text(row[place]) for place in places))
        console.print(table)


def _blocks(needed: Sequence[int], room: int) -> list[list[int]]:
    """Places of the columns that stand beside one another, for each part of a table in which all have room."""
    blocks = [[0]]
    used = needed[0]
    for place in range(1, len(needed)):
        if used + _GAP + needed[place] > room and len(blocks[-1]) > 1:
            blocks.append([0])
            used = needed[0]
        blocks[-1].append(place)
        used += _GAP + needed[place]
    return blocks
