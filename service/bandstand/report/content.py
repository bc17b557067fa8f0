"""What a report is made of: sections of plain text, tables, figures and code.

Knows kinds of content. Must not know what they are about, nor how a format shows them; whoever renders them escapes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from bandstand.report.drawing.drawing import Drawing, Table

__all__ = ["Block", "Bullets", "Code", "Document", "Figure", "Prose", "Section", "Sheet"]


class Prose(NamedTuple):
    """A paragraph."""

    text: str
    role: Literal["answer", "plain", "quiet", "sentence", "notes"] = "plain"
    """`sentence` stands where there is nothing to draw, `notes` are the user's own words, with their line breaks."""


class Bullets(NamedTuple):
    """A list that should catch the eye, such as warnings."""

    title: str
    items: tuple[str, ...]


class Sheet(NamedTuple):
    """A table and how dense it is."""

    table: Table
    kind: Literal["", "compact", "messages"] = ""
    summary: str | None = None
    """Where given, the table is folded away under it."""


class Figure(NamedTuple):
    """A figure with its caption, or the sentence that says why there is none, under a title of its own."""

    name: str
    title: str
    drawing: Drawing | str
    stored_in: str | None = None
    """Study or comparison for which `bandstand figure` draws it; None where it draws none, as of a simulation."""


class Code(NamedTuple):
    """Text to copy, character for character."""

    name: str
    text: str
    language: Literal["toml", "json", "sh"]
    summary: str | None = None
    """Where given, the text is folded away under it."""


Block = Prose | Bullets | Sheet | Figure | Code


class Section(NamedTuple):
    """A part of a report under a heading."""

    name: str
    title: str
    blocks: tuple[Block, ...]


class Document(NamedTuple):
    """A whole report."""

    title: str
    state: str
    opening: tuple[Block, ...]
    """What stands before the first heading: the answer."""
    sections: tuple[Section, ...]

    @property
    def drawings(self) -> dict[str, Drawing]:
        """What is drawn in it, by the figures' names."""
        return {
            block.name: block.drawing
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Figure) and isinstance(block.drawing, Drawing)
        }
