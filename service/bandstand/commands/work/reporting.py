"""What `bandstand report` and `bandstand figure` do, and what reviewers see of it in Optuna Dashboard.

Knows which figures there are. Must not know what a report holds nor how a figure is made.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bandstand.comparison import summary
from bandstand.comparison.conclusions import judge
from bandstand.comparison.figures import COMPARISON_FIGURES
from bandstand.comparison.outline import make_comparison_report
from bandstand.comparison.results import Results, read_results
from bandstand.errors import InputError
from bandstand.optuna_dashboard.dashboard_notes import DashboardNotes
from bandstand.report.content import Document
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.figures import REPORTS
from bandstand.report.findings.answer import answer_from, remark_for_optuna
from bandstand.report.forms.page import write_document
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store

__all__ = [
    "comparison_figure",
    "publish_report",
    "study_figure",
    "write_comparison_report",
]


def publish_report(store: Store, record: StudyRecord, document: Document) -> None:
    """Show reviewers in Optuna Dashboard what the report says first."""
    figures = _main_drawings(document, "best_so_far", "history", "importances")
    sentences = [*answer_from(record), *remark_for_optuna(record)]
    DashboardNotes(store.database.url).put(record.spec.name, sentences, figures)


def _main_drawings(document: Document, *names: str) -> dict[str, Drawing]:
    return {name: document.drawings[name] for name in names if name in document.drawings}


def write_comparison_report(store: Store, results: Results, output: Path, form: str | None = None) -> None:
    """Write the report of a comparison, and show its answer to reviewers of each of its studies."""
    document = make_comparison_report(results)
    write_document(document, output, form)
    conclusions = judge(results)
    figures = _main_drawings(document, "by_epochs", "final_values")
    notes = DashboardNotes(store.database.url)
    for planned in results.plan.studies():
        place = f"{planned.arm}, repeat {planned.repeat + 1}, of the comparison {results.plan.name}."
        leads = planned.arm == conclusions.leader and planned.repeat == 0
        notes.put(planned.spec.name, [place, *summary.answer_from(results, conclusions)], figures if leads else {})


def study_figure(store: Store, name: str, which: str, against: list[str] | None) -> tuple[str, Drawing | str]:
    """A figure of a report by its name, with its title; a sentence where there is nothing to draw."""
    _check_figure(which, REPORTS)
    others = [store.record(other) for other in against or []]
    return REPORTS[which].title, REPORTS[which].draw(store.record(name), others)


def comparison_figure(store: Store, name: str, which: str) -> tuple[str, Drawing | str]:
    """A figure of a report by its name, with its title; a sentence where there is nothing to draw."""
    _check_figure(which, COMPARISON_FIGURES)
    results = read_results(store, store.plans.get(name))
    return COMPARISON_FIGURES[which].title, COMPARISON_FIGURES[which].draw(results, judge(results))


def _check_figure(which: str, known: Collection[str]) -> None:
    if which not in known:
        raise InputError(f"a figure must be one of {', '.join(known)}; got {which!r}")
