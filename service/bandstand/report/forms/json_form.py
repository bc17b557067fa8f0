"""A report as JSON, for programs: the same parts, figures as plotly's data and layout.

Knows JSON. Must not know what a report is about.
"""

from __future__ import annotations

import json
from typing import Any

from bandstand.report.content import Block, Bullets, Code, Document, Figure, Prose, Sheet
from bandstand.report.drawing.drawing import Table
from bandstand.report.forms.document import figure_json

__all__ = ["json_from"]


def json_from(document: Document) -> str:
    """The whole text; numbers that are not finite are null."""
    content = {
        "title": document.title,
        "state": document.state,
        "opening": [_block(block) for block in document.opening],
        "sections": [
            {"name": section.name, "title": section.title, "blocks": [_block(block) for block in section.blocks]}
            for section in document.sections
        ],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Prose(text, role):
            return {"kind": "prose", "role": role, "text": text}
        case Bullets(title, items):
            return {"kind": "bullets", "title": title, "items": list(items)}
        case Sheet():
            return {"kind": "table", **_table(block.table)}
        case Code(name, text, language):
            return {"kind": "code", "name": name, "language": language, "text": text}
        case Figure(name, title, str() as sentence):
            return {"kind": "figure", "name": name, "title": title, "figure": None, "caption": sentence}
        case Figure(name, title, drawing):
            assert not isinstance(drawing, str)
            rows = {"table": _table(drawing.table)} if drawing.table else {}
            shown = {"figure": figure_json(drawing), "caption": drawing.caption}
            return {"kind": "figure", "name": name, "title": title, **shown, **rows}


def _table(table: Table) -> dict[str, Any]:
    return {"header": list(table.header), "rows": [list(row) for row in table.rows]}
