"""An HTML document with figures that needs nothing else, and the parts that documents share.

Knows HTML, the style sheet and the script beside it. Must not know what a document is about. Text is escaped here. A
document forbids itself all network access by a content security policy, so that even a mistake could not load anything.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from bandstand.report.drawing.drawing import Drawing, Table

__all__ = ["figure_json", "make_document", "make_section", "make_table"]

SLIM = 48
"""Letters: a table no wider than this stays one on a telephone, where others become lists of cards."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"


def make_document(title: str, body: Sequence[str], figures: Mapping[str, Drawing]) -> str:
    """A whole page.

    Args:
        title: for the browser's tab; plain text.
        body: HTML, escaped already.
        figures: those that sections of the body have a place for, by the sections' names.
    """
    from bandstand.report.drawing.style import THEMES

    scripts = [f'<script type="application/octet-stream" id="plotly">{_packed_plotly()}</script>'] if figures else []
    scripts += [_data("themes", dict(THEMES)), *(_data(f"data-{name}", figure_json(figures[name])) for name in figures)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)} – Bandstand</title>",
            f"<style>{_file('page.css')}</style>",
            "</head>",
            f"<body><main>{''.join(body)}</main>",
            *scripts,
            f"<script>{_file('page.js')}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _file(name: str) -> str:
    return files("bandstand.report.forms").joinpath(name).read_text(encoding="utf-8")


@cache
def _packed_plotly() -> str:
    """plotly.js, compressed to a third of its 4.8 MB; the page's script unpacks it, which takes some 50 ms."""
    from plotly.offline import get_plotlyjs

    return b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def figure_json(drawing: Drawing) -> dict[str, Any]:
    """The figure as data, without its template: the page gives it the one for the reader's setting."""
    figure: dict[str, Any] = json.loads(drawing.figure.to_json())  # through plotly, which knows NaN and numpy
    figure["layout"].pop("template", None)
    return figure


def _data(name: str, data: Any) -> str:
    """JSON in a script element, which only `</script>` and `<!--` could end or change."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def make_section(name: str, title: str, drawing: Drawing | str, level: int = 2) -> str:
    """A section with a figure, its table and its caption, or with the sentence that says why there is no figure.

    Args:
        name: of the section, unique in its page.
        title: plain text.
        drawing: what stands under it.
        level: of its heading; 3 where it belongs to a part with a heading of its own.
    """
    title = escape(title)
    heading = f"<h{level}>{title}</h{level}>"
    if isinstance(drawing, str):
        return f'<section id="{name}">{heading}<p class="sentence">{escape(drawing)}</p></section>'
    height = int(drawing.figure.layout.height)
    table = make_table(drawing.table) if drawing.table else ""
    return (
        f'<section id="{name}">{heading}{table}'
        f'<div class="figure" role="img" aria-label="{title}" data-figure="data-{name}" '
        f'style="height:{height}px"></div>'
        f'<p class="caption">{escape(drawing.caption)}</p></section>'
    )


def make_table(table: Table, kind: str | None = None) -> str:
    """A table whose first column names the row."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.header)
    rows = []
    for first, *rest in table.rows:
        cells = (
            f'<td data-column="{escape(column)}">{escape(cell)}</td>'
            for column, cell in zip(table.header[1:], rest, strict=True)
        )
        rows.append(f'<tr><th scope="row">{escape(first)}</th>{"".join(cells)}</tr>')
    body = "".join(rows)
    widths = (max(len(cell) for cell in column) for column in zip(table.header, *table.rows, strict=True))
    kind = kind or ("slim" if sum(widths) <= SLIM else "")
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
