"""The report of a study as one HTML file that needs nothing else: no network, no server, no other file.

Knows which parts the report has. Everything that comes from a study is escaped here or in `document`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from service.report import REPORTS
from service.report.answer import answer_from, failures_table, params_json, params_table, settings_sentence
from service.report.document import make_document, make_section, make_table
from service.report.drawing import Drawing
from service.report.study_file import toml_from

if TYPE_CHECKING:
    from service.views import StudyRecord

__all__ = ["write_report"]


def write_report(record: StudyRecord, path: Path, others: Sequence[StudyRecord] = ()) -> None:
    """Write the report of a study.

    Args:
        record: the study.
        path: the HTML file; written in UTF-8, replaced if it exists.
        others: studies to compare it with, such as random search with the same epochs.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(_page(record, others), encoding="utf-8")


def _page(record: StudyRecord, others: Sequence[StudyRecord]) -> str:
    drawings = {
        name: report.draw(record, others) for name, report in REPORTS.items() if others or name != "best_so_far"
    }
    figures = {name: drawing for name, drawing in drawings.items() if isinstance(drawing, Drawing)}
    body = [_head(record), _best(record), *(_section(name, drawing) for name, drawing in drawings.items())]
    body += [_failures(record), _rerun(record)]
    return make_document(record.spec.name, body, figures)


def _head(record: StudyRecord) -> str:
    spec, state = record.spec, escape(record.state)
    parts = [
        f'<h1>{escape(spec.name)} <span class="state {state}">{state}</span></h1>',
        f'<p class="answer">{escape(" ".join(answer_from(record)))}</p>',
        f'<p class="quiet">{escape(settings_sentence(record))}</p>',
    ]
    if spec.notes:
        parts.append(f'<p class="notes">{escape(spec.notes)}</p>')
    if record.notices:
        items = "".join(f"<li>{escape(notice)}</li>" for notice in record.notices)
        parts.append(f'<div class="notices" role="note"><ul>{items}</ul></div>')
    parts.append(
        "<noscript><p>The figures are drawn by a script in this file; scripts are switched off.</p></noscript>"
    )
    return "".join(parts)


def _best(record: StudyRecord) -> str:
    best = record.best
    if best is None:
        return ""
    table = make_table(params_table(record, best), "compact")
    model = f'<p class="quiet">Its model: {escape(best.model_path)}</p>' if best.model_path else ""
    return (
        f'<section id="best"><h2>Best parameters (trial {best.number})</h2>{table}{model}'
        "<details><summary>Every digit, as JSON</summary>"
        f"{_copyable('params', params_json(best))}</details></section>"
    )


def _section(name: str, drawing: Drawing | str) -> str:
    return make_section(name, REPORTS[name].title, drawing)


def _failures(record: StudyRecord) -> str:
    table = failures_table(record)
    return f'<section id="failures"><h2>Failed trials</h2>{make_table(table, "messages")}</section>' if table else ""


def _rerun(record: StudyRecord) -> str:
    try:
        study_file = _copyable("study-file", toml_from(record.spec))
    except ValueError as error:
        study_file = f'<p class="sentence">This study has no form in TOML: {escape(str(error))}.</p>'
    return (
        '<section id="rerun" class="long"><h2>To run this study again</h2>'
        "<p>The complete study, defaults included. Give it another name where this one is taken.</p>"
        f'{study_file}<p class="quiet">{escape(_trained_with(record))}</p></section>'
    )


def _trained_with(record: StudyRecord) -> str:
    """Versions and machine of the study's latest run."""
    parts = (f"{name} {value}" for name, value in sorted(record.environment.items()))
    return f"Trained with {', '.join(parts)}." if record.environment else "It is not known what trained it."


def _copyable(name: str, text: str) -> str:
    # The parser drops a newline right after <pre>, so one is given to it.
    return f'<button type="button" data-copy="{name}">Copy</button><pre id="{name}">\n{escape(text)}</pre>'
