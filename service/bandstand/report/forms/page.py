"""The report of a study as a file, in the format and the style that were asked for.

Knows which formats there are. Must not know what stands in a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bandstand.errors import InputError
from bandstand.report.content import Document
from bandstand.report.forms.html_form import html_from
from bandstand.report.forms.json_form import json_from
from bandstand.report.forms.markdown_form import markdown_from
from bandstand.report.outline import STYLES
from bandstand.store.records import StudyRecord

__all__ = ["FORMATS", "format_of", "write_document", "write_report"]

FORMATS: Mapping[str, Callable[[Document], str]] = MappingProxyType(
    {"html": html_from, "md": markdown_from, "json": json_from}
)


def format_of(path: Path, wanted: str | None = None) -> str:
    """The format of a file: the one that is wanted, else what its suffix says.

    Raises:
        InputError: one line, where neither names one of `FORMATS`.
    """
    suffix = path.suffix.removeprefix(".").lower()
    found = wanted or {"htm": "html", "markdown": "md"}.get(suffix, suffix)
    if found not in FORMATS:
        known = ", ".join(FORMATS)
        if wanted:
            raise InputError(f"--format must be one of {known}; got {wanted!r}")
        raise InputError(
            f"the report's file must end in one of {known}, or --format must name one of them; got {path.name!r}"
        )
    return found


def write_report(
    record: StudyRecord,
    path: Path,
    others: Sequence[StudyRecord] = (),
    *,
    form: str | None = None,
    style: str = "report",
) -> Document:
    """Write the report of a study; returns what it holds.

    Args:
        record: the study.
        path: the file; written in UTF-8, replaced if it exists.
        others: studies to compare it with, such as random search with the same epochs.
        form: one of `FORMATS`; what the path's suffix says if left out.
        style: one of `STYLES`.

    Raises:
        InputError: there is no such format or style.
        OSError: the file cannot be written.
    """
    if style not in STYLES:
        raise InputError(f"--style must be one of {', '.join(STYLES)}; got {style!r}")
    document = STYLES[style](record, others)
    write_document(document, path, form)
    return document


def write_document(document: Document, path: Path, form: str | None = None) -> None:
    """Write any report, as `write_report` does."""
    path.write_text(FORMATS[format_of(path, form)](document), encoding="utf-8")
