"""Files that commands write: refused before anything is done, where they cannot be written.

Knows folders and suffixes. Must not know what is written.
"""

from __future__ import annotations

from pathlib import Path

from bandstand.errors import InputError

__all__ = ["check_folder", "check_report_file"]


def check_report_file(output: Path, form: str | None = None) -> None:
    """Refuse a file that no report can be written to.

    Raises:
        InputError: its folder is not there, or neither its suffix nor `form` names a format.
    """
    from bandstand.report.forms.page import format_of

    check_folder(output, "report")
    format_of(output, form)


def check_folder(output: Path, what: str) -> None:
    """Refuse a file, called `what`, whose folder is not there.

    Raises:
        InputError: it is not.
    """
    if not output.absolute().parent.is_dir():
        raise InputError(f"the {what}'s folder must exist; {str(output.parent)!r} does not: create it")
