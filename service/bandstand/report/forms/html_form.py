"""A report as one HTML file that needs nothing else: no network, no server, no other file.

Knows HTML. Must not know what a report is about. Everything that comes from a study is escaped here or in `document`.
"""

from __future__ import annotations

from html import escape

from bandstand.report.content import Block, Bullets, Code, Document, Figure, Prose, Section, Sheet
from bandstand.report.forms.document import make_document, make_section, make_table

__all__ = ["html_from"]

NO_SCRIPT = "<noscript><p>A script in this file draws the figures, but scripts are switched off.</p></noscript>"


def html_from(document: Document) -> str:
    """The whole page."""
    state = escape(document.state)
    head = f'<h1>{escape(document.title)} <span class="state {state}">{state}</span></h1>'
    body = [head, *map(_block, document.opening), NO_SCRIPT, *map(_section, document.sections)]
    return make_document(document.title, body, document.drawings)


def _section(section: Section) -> str:
    blocks = "".join(map(_block, section.blocks))
    return f'<section id="{section.name}" class="part"><h2>{escape(section.title)}</h2>{blocks}</section>'


def _block(block: Block) -> str:
    match block:
        case Prose(text, "plain"):
            return f"<p>{escape(text)}</p>"
        case Prose(text, role):
            return f'<p class="{role}">{escape(text)}</p>'
        case Bullets(title, items):
            inside = "".join(f"<li>{escape(item)}</li>" for item in items)
            return f'<div class="notices" role="note"><strong>{escape(title)}</strong><ul>{inside}</ul></div>'
        case Sheet(table, kind, summary):
            return _folded(summary, make_table(table, kind))
        case Figure(name, title, drawing):
            return make_section(name, title, drawing, level=3)
        case Code():
            return _code(block)


def _code(code: Code) -> str:
    # The parser drops a newline right after <pre>, so one is given to it.
    copyable = (
        f'<button type="button" data-copy="{code.name}">Copy</button><pre id="{code.name}">\n{escape(code.text)}</pre>'
    )
    return _folded(code.summary, copyable)


def _folded(summary: str | None, inside: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>" if summary else inside
