"""`bandstand report` and `bandstand figure`: the report of a study or a comparison, and one of its figures alone.

Knows the commands' options. Must not know what a report holds nor how a figure is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import StudyOrComparisonName
from bandstand.commands.output_files import check_folder, check_report_file
from bandstand.errors import InputError

__all__ = ["figure", "report"]

Against = Annotated[
    list[str] | None, typer.Option(help="Another study to compare with. Can be given several times.")
]  # fmt: skip


def report(
    name: StudyOrComparisonName,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .html, .md or .json.")],
    against: Against = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="Format of the report: html, md or json. Default: the suffix of the file."),
    ] = None,
    style: Annotated[
        str, typer.Option(help="Style: report, or writeup (with the headings of a project write-up).")
    ] = "report",
) -> None:
    """Write the report of a study or comparison as one file."""
    from bandstand.commands.work.reporting import publish_report, write_comparison_report
    from bandstand.comparison.results import read_results
    from bandstand.report.forms.page import write_report
    from bandstand.store.store import Store

    check_report_file(output, form)  # before the database is asked
    store = Store.open()
    if name in store.plans.names():
        if against or style != "report":
            raise InputError(f"--against and --style work with studies only; {name!r} is a comparison: leave them out")
        write_comparison_report(store, read_results(store, store.plans.get(name)), output, form)
    else:
        record, others = store.record(name), [store.record(other) for other in against or []]
        publish_report(store, record, write_report(record, output, others, form=form, style=style))
    typer.echo(str(output.absolute()))


def figure(
    name: StudyOrComparisonName,
    which: Annotated[
        str,
        typer.Argument(
            metavar="FIGURE", help="Name of a figure, such as best_so_far. To see all names, give an unknown one."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .html, .png or .svg.")],
    against: Against = None,
) -> None:
    """Write one figure of a report as .html, .png or .svg."""
    from bandstand.commands.work.reporting import comparison_figure, study_figure
    from bandstand.report.forms.image import check_suffix, write_drawing
    from bandstand.store.store import Store

    check_folder(output, "figure")
    check_suffix(output)
    store = Store.open()
    if name in store.plans.names():
        title, drawing = comparison_figure(store, name, which)
    else:
        title, drawing = study_figure(store, name, which, against)
    if isinstance(drawing, str):
        raise InputError(f"the figure {which} of {name!r} has nothing to draw: {drawing}")
    write_drawing(drawing, output, f"{title}: {name}", which)
    typer.echo(str(output.absolute()))
