"""A report as Markdown, for a repository or a wiki; figures are named, with the command that draws them.

Knows CommonMark with tables. Must not know what a report is about. Everything that comes from a study is escaped.
"""

from __future__ import annotations

import re
import shlex

from bandstand.report.content import Block, Bullets, Code, Document, Figure, Prose, Sheet
from bandstand.report.drawing.drawing import Table

__all__ = ["escaped", "markdown_from"]


def markdown_from(document: Document) -> str:
    """The whole text."""
    parts = [f"# {escaped(document.title)} ({escaped(document.state)})"]
    parts += map(_block, document.opening)
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += map(_block, section.blocks)
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text in which nothing is markup, HTML included. A line's start is guarded as well: `1.` and `+` make lists."""
    safe = re.sub(r"([\\`*_\[\]<>|~#&$])", r"\\\1", " ".join(text.split()))
    # No address becomes a link by itself.
    safe = re.sub(r"(?i)\b(https?|ftp|mailto|www)([:.])", r"\1\\\2", safe)
    return re.sub(r"^([-+=]|\d+(?=[.)](?:\s|$)))", lambda start: _guarded(start[1]), safe)


def _guarded(start: str) -> str:
    return f"\\{start}" if not start.isdigit() else f"&#{ord(start[0])};{start[1:]}"


def _block(block: Block) -> str:
    match block:
        case Prose(text, "notes"):
            return "\n".join(f"> {escaped(line)}".rstrip() + "  " for line in text.splitlines())
        case Prose(text):
            return escaped(text)
        case Bullets(title, items):
            return f"**{escaped(title)}**\n\n" + "\n".join(f"* {escaped(item)}" for item in items)
        case Sheet():
            return (f"{escaped(block.summary)}:\n\n" if block.summary else "") + _table(block.table)
        case Figure(_, title, str() as sentence):
            return f"### {escaped(title)}\n\n{escaped(sentence)}"
        case Figure(name, title, drawing, stored_in):
            assert not isinstance(drawing, str)
            rows = f"\n\n{_table(drawing.table)}" if drawing.table else ""
            if stored_in is None:
                return f"### {escaped(title)}{rows}\n\n{escaped(drawing.caption)}"
            command = f"bandstand figure {shlex.quote(stored_in)} {name} -o {name}.svg"
            return f"### {escaped(title)}{rows}\n\n{escaped(drawing.caption)}\n\n{_fenced(command, 'sh')}"
        case Code():
            return (f"{escaped(block.summary)}:\n\n" if block.summary else "") + _fenced(block.text, block.language)


def _table(table: Table) -> str:
    lines = [table.header, tuple("---" for _ in table.header), *table.rows]
    head, rule, *rows = lines
    text = [_row(tuple(map(escaped, head))), _row(rule), *(_row(tuple(map(escaped, row))) for row in rows)]
    return "\n".join(text)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _fenced(text: str, language: str) -> str:
    """A fence longer than any in the text, so that nothing in it can end it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
