"""`bandstand report` and `bandstand figure`: a study's report, and one of its figures alone.

Knows the commands' options. Must not know what a report holds nor how a figure is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["figure", "report"]

Name = Annotated[str, typer.Argument(help="The study's name, as `bandstand list` shows it.")]
Against = Annotated[
    list[str] | None, typer.Option(help="Another study to compare with; may be given several times.")
]  # fmt: skip


def report(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: .html, .md or .json.")],
    against: Against = None,
    form: Annotated[
        str | None, typer.Option("--format", help="html, md or json; what the file's suffix says when left out.")
    ] = None,
    style: Annotated[
        str, typer.Option(help="report, or writeup: under the headings of a project write-up.")
    ] = "report",
) -> None:
    """Write a study's report: one file that needs nothing else."""
    from service.report.page import format_of, write_report
    from service.store import Store

    _check_folder(output, "report")
    format_of(output, form)  # before the database is asked
    store = Store.open()
    others = [store.record(other) for other in against or []]
    write_report(store.record(name), output, others, form=form, style=style)
    typer.echo(str(output.absolute()))


def figure(
    name: Name,
    which: Annotated[str, typer.Argument(metavar="FIGURE", help="One of the report's figures; see the README.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: .html, .png or .svg.")],
    against: Against = None,
) -> None:
    """Write one figure of a study's report."""
    from service.errors import InputError
    from service.report import REPORTS
    from service.report.image import check_suffix, write_drawing
    from service.store import Store

    if which not in REPORTS:
        raise InputError(f"the figure must be one of {', '.join(REPORTS)}; got {which!r}")
    _check_folder(output, "figure")
    check_suffix(output)
    store = Store.open()
    record = store.record(name)
    drawing = REPORTS[which].draw(record, [store.record(other) for other in against or []])
    if isinstance(drawing, str):
        raise InputError(f"figure {which} of study {name!r} has nothing to draw: {drawing}")
    write_drawing(drawing, output, f"{REPORTS[which].title}: {name}", which)
    typer.echo(str(output.absolute()))


def _check_folder(output: Path, what: str) -> None:
    from service.errors import InputError

    if not output.absolute().parent.is_dir():
        raise InputError(f"the {what}'s folder must exist; {str(output.parent)!r} does not: make it")
