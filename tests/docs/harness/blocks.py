"""The code blocks of a Markdown page, and what the comments directly before them say.

Knows the convention of tests/docs/README.md. Must not know how a block is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt

__all__ = ["Block", "BlockError", "Marks", "blocks_of"]

REASONS = (
    "needs Docker", "needs Kubernetes", "needs a cluster", "needs a GPU", "needs the network", "needs a checkout"
)  # fmt: skip
WRITTEN = {"python": "py", "toml": "toml", "csv": "csv"}
"""Languages whose blocks may be files, and how these end."""

_COMMENT = re.compile(r"\s*<!--\s*(.*?)\s*-->\s*", re.DOTALL)
_FILE = re.compile(r"# ((?:[\w-]+/)*[\w.-]+\.(py|toml|csv))")


class BlockError(AssertionError):
    """A block of a page does not do what the page says; the message has the place, the block and its output."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What comments say about a block."""

    not_run: str | None = None
    """Why it is not run, one of `REASONS`."""
    background_until: str | None = None
    """The text of a line by which a server says that it is ready."""
    exit_code: int = 0
    slow: bool = False
    replaced: tuple[tuple[str, str], ...] = ()
    """What the test puts in place of what the page says."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of code."""

    page: str
    line: int
    """Of its first line of code, counted from 1."""
    language: str
    text: str
    """As on the page."""
    marks: Marks

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is, where its first line says so."""
        found = _FILE.fullmatch(self.text.partition("\n")[0].rstrip())
        return found[1] if found and WRITTEN.get(self.language) == found[2] else None

    @property
    def code(self) -> str:
        """What is run or written: the text with its replacements, of a table without the line that names it.

        Raises:
            BlockError: what is to be replaced is not there.
        """
        code = self.text
        for old, new in self.marks.replaced:
            if old not in code:
                raise self.error(f"there is no {old!r} to be replaced")
            code = code.replace(old, new)
        return code.partition("\n")[2] if self.file and self.language == "csv" else code

    def error(self, message: str, output: str = "") -> BlockError:
        """What is wrong with the block, with all that helps to mend it."""
        said = f"\n\nOutput:\n{output.rstrip()}" if output.strip() else ""
        return BlockError(f"{self.place}: {message}\n\n```{self.language}\n{self.text.rstrip()}\n```{said}")


def blocks_of(text: str, page: str) -> list[Block]:
    """The fenced blocks of a page, from top to bottom.

    Args:
        text: the page's Markdown.
        page: its name, for messages.

    Raises:
        BlockError: a comment before a block is none of the convention's.
    """
    blocks: list[Block] = []
    comments: list[str] = []
    next_line = -1
    for token in MarkdownIt("commonmark").parse(text):
        if token.map is None or token.type not in ("html_block", "fence"):
            continue
        start, end = token.map
        if start != next_line:
            comments = []
        if token.type == "html_block":
            found = _COMMENT.fullmatch(token.content)
            comments = [*comments, found[1]] if found else []
            next_line = end if token.content.endswith("-->\n") else -1
            continue
        language = (token.info.split() or [""])[0]
        block = Block(page=page, line=start + 2, language=language, text=token.content, marks=Marks())
        blocks.append(Block(**{**vars(block), "marks": _marks_from(comments, block)}))
        comments = []
    return blocks


def _marks_from(comments: list[str], block: Block) -> Marks:
    found: dict[str, object] = {}
    replaced: list[tuple[str, str]] = []
    for comment in comments:
        name, _, value = (part.strip() for part in comment.partition(":"))
        if name == "not run" and value in REASONS:
            found["not_run"] = value
        elif name == "runs in the background until" and value:
            found["background_until"] = value
        elif name == "exit code" and value.isdecimal():
            found["exit_code"] = int(value)
        elif comment == "slow":
            found["slow"] = True
        elif name == "replaces" and "=>" in value:
            old, new = (part.strip() for part in value.split("=>"))
            replaced.append((old, new))
        else:
            raise block.error(
                f"a comment before a block must be one of `not run: REASON` ({', '.join(REASONS)}), "
                "`runs in the background until: TEXT`, `exit code: N`, `slow`, `replaces: OLD => NEW`; "
                f"got {comment!r}"
            )
    return Marks(**found, replaced=tuple(replaced))  # type: ignore[arg-type]  # each under its own name
