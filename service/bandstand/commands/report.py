"""`bandstand report` and `bandstand figure`: the report of a study or a comparison, and one of its figures alone.

Knows the commands' options. Must not know what a report holds nor how a figure is made.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bandstand.comparison.results import Results
    from bandstand.report.content import Document
    from bandstand.report.drawing.drawing import Drawing
    from bandstand.store.records import StudyRecord
    from bandstand.store.store import Store

__all__ = ["check_folder", "check_report_file", "figure", "report", "write_comparison_report"]

Name = Annotated[str, typer.Argument(help="The name of a study, as `bandstand list` shows it, or of a comparison.")]
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
    """Write the report of a study or a comparison: one file that needs nothing else."""
    from bandstand.comparison.results import read_results
    from bandstand.errors import InputError
    from bandstand.report.forms.page import write_report
    from bandstand.store.store import Store

    check_report_file(output, form)  # before the database is asked
    store = Store.open()
    if name in store.plans.names():
        if against or style != "report":
            raise InputError(f"--against and --style are for studies; {name!r} is a comparison: leave them out")
        write_comparison_report(store, read_results(store, store.plans.get(name)), output, form)
    else:
        record, others = store.record(name), [store.record(other) for other in against or []]
        _publish(store, record, write_report(record, output, others, form=form, style=style))
    typer.echo(str(output.absolute()))


def _publish(store: Store, record: StudyRecord, document: Document) -> None:
    """Show reviewers in Optuna Dashboard what the report says first."""
    from bandstand.optuna_dashboard.dashboard_notes import DashboardNotes
    from bandstand.report.conclusions.answer import answer_from, remark_for_optuna

    figures = _main_drawings(document, "best_so_far", "history", "importances")
    sentences = [*answer_from(record), *remark_for_optuna(record)]
    DashboardNotes(store.database.url).put(record.spec.name, sentences, figures)


def _main_drawings(document: Document, *names: str) -> dict[str, Drawing]:
    return {name: document.drawings[name] for name in names if name in document.drawings}


def write_comparison_report(store: Store, results: Results, output: Path, form: str | None = None) -> None:
    """Write the report of a comparison, and show its answer to reviewers of each of its studies."""
    from bandstand.comparison.judgement import judge
    from bandstand.comparison.outline import make_comparison_report
    from bandstand.comparison.summary import answer_from
    from bandstand.optuna_dashboard.dashboard_notes import DashboardNotes
    from bandstand.report.forms.page import write_document

    document = make_comparison_report(results)
    write_document(document, output, form)
    judgement = judge(results)
    figures = _main_drawings(document, "by_epochs", "final_values")
    notes = DashboardNotes(store.database.url)
    for planned in results.plan.studies():
        place = f"{planned.arm}, repeat {planned.repeat + 1}, of the comparison {results.plan.name}."
        leads = planned.arm == judgement.leader and planned.repeat == 0
        notes.put(planned.spec.name, [place, *answer_from(results, judgement)], figures if leads else {})


def figure(
    name: Name,
    which: Annotated[str, typer.Argument(metavar="FIGURE", help="One of the report's figures; see the README.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: .html, .png or .svg.")],
    against: Against = None,
) -> None:
    """Write one figure of the report of a study or a comparison."""
    from bandstand.errors import InputError
    from bandstand.report.forms.image import check_suffix, write_drawing
    from bandstand.store.store import Store

    check_folder(output, "figure")
    check_suffix(output)
    store = Store.open()
    of_comparison = name in store.plans.names()
    title, drawing = _comparison_figure(store, name, which) if of_comparison else _figure(store, name, which, against)
    if isinstance(drawing, str):
        raise InputError(f"figure {which} of {name!r} has nothing to draw: {drawing}")
    write_drawing(drawing, output, f"{title}: {name}", which)
    typer.echo(str(output.absolute()))


def _figure(store: Store, name: str, which: str, against: list[str] | None) -> tuple[str, Drawing | str]:
    from bandstand.report.figures import REPORTS

    _check_figure(which, REPORTS)
    others = [store.record(other) for other in against or []]
    return REPORTS[which].title, REPORTS[which].draw(store.record(name), others)


def _comparison_figure(store: Store, name: str, which: str) -> tuple[str, Drawing | str]:
    from bandstand.comparison.figures import COMPARISON_FIGURES
    from bandstand.comparison.judgement import judge
    from bandstand.comparison.results import read_results

    _check_figure(which, COMPARISON_FIGURES)
    results = read_results(store, store.plans.get(name))
    return COMPARISON_FIGURES[which].title, COMPARISON_FIGURES[which].draw(results, judge(results))


def _check_figure(which: str, known: Collection[str]) -> None:
    from bandstand.errors import InputError

    if which not in known:
        raise InputError(f"the figure must be one of {', '.join(known)}; got {which!r}")


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
    from bandstand.errors import InputError

    if not output.absolute().parent.is_dir():
        raise InputError(f"the {what}'s folder must exist; {str(output.parent)!r} does not: make it")
