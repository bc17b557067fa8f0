"""One figure of a report as a file of its own: a page, a PNG or an SVG.

Knows kaleido, which draws by the Chromium or Chrome that is installed. Must not know which figures there are.
"""

from __future__ import annotations

from pathlib import Path

from bandstand.errors import InputError, one_line
from bandstand.extras import require
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.forms.document import make_document, make_section

__all__ = ["check_suffix", "write_drawing"]

SUFFIXES = (".html", ".png", ".svg")
WIDTH = 1000
"""Pixels; a PNG has twice as many, so that it is sharp on paper."""


def check_suffix(path: Path) -> None:
    """Refuse a file that no figure can be written to.

    Raises:
        InputError: one line; the format is unknown, or what draws images is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"a figure's file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; got {path.name!r}")
    if path.suffix.lower() != ".html":
        require("images", f"a {path.suffix.lower()} file", otherwise="write .html")


def write_drawing(drawing: Drawing, path: Path, title: str, name: str) -> None:
    """Write a figure.

    Args:
        drawing: the figure with its caption and table; an image holds the figure alone.
        path: replaced if it exists.
        title: plain text, for a page.
        name: of the figure, for a page.

    Raises:
        InputError: one line; the format is unknown, or what draws images is not installed.
        OSError: the file cannot be written.
    """
    check_suffix(path)
    if path.suffix.lower() != ".html":
        _write_image(drawing, path)
        return
    page = make_document(title, [make_section(name, title, drawing, level=1)], {name: drawing})
    path.write_text(page, encoding="utf-8")


def _write_image(drawing: Drawing, path: Path) -> None:
    import plotly.graph_objects as go

    figure = go.Figure(drawing.figure)
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", margin={"l": 20, "r": 20, "b": 20})
    kind = path.suffix.lower().removeprefix(".")
    try:
        image = figure.to_image(kind, width=WIDTH, height=figure.layout.height, scale=2 if kind == "png" else 1)
    except Exception as error:  # noqa: BLE001  # kaleido and what it stands on have no root of their own
        if "Chrome" in str(error) and "requires" in str(error):
            raise InputError(
                "Chromium or Chrome draws images, and neither was found: install one, name it in BROWSER_PATH, or "
                "write .html"
            ) from None
        raise InputError(
            f"the browser that draws images failed ({one_line(error)}): name another in BROWSER_PATH, or write .html"
        ) from None
    path.write_bytes(image)
