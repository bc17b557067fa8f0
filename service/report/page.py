"""The report of a study as one HTML file that needs nothing else: no network, no server, no other file.

Everything that comes from a study is escaped here. The page forbids itself all network access by a content security
policy, so that even a mistake could not load anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.report import REPORTS
from service.report.answer import answer_from, failures_table, params_json, params_table, settings_sentence
from service.report.drawing import Drawing, Table
from service.report.study_file import toml_from

if TYPE_CHECKING:
    from service.views import StudyRecord

__all__ = ["write_report"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"


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
    from plotly.offline import get_plotlyjs

    from service.report.style import THEMES

    drawings = {
        name: report.draw(record, others) for name, report in REPORTS.items() if others or name != "best_so_far"
    }
    figures = {name: drawing for name, drawing in drawings.items() if isinstance(drawing, Drawing)}
    body = [_head(record), _best(record), *(_section(name, drawing) for name, drawing in drawings.items())]
    body += [_failures(record), _rerun(record)]
    scripts = [f"<script>{get_plotlyjs()}</script>"] if figures else []
    scripts += [_data("themes", dict(THEMES)), *(_data(f"data-{name}", _json(figures[name])) for name in figures)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(record.spec.name)} – Bandstand</title>",
            f"<style>{_file('page.css')}</style>",
            "</head>",
            f"<body><main>{''.join(body)}</main>",
            *scripts,
            f"<script>{_file('page.js')}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _file(name: str) -> str:
    return files("service.report").joinpath(name).read_text(encoding="utf-8")


def _json(drawing: Drawing) -> dict[str, Any]:
    """The figure as data, without its template: the page gives it the one for the reader's setting."""
    figure: dict[str, Any] = json.loads(drawing.figure.to_json())  # through plotly, which knows NaN and numpy
    figure["layout"].pop("template", None)
    return figure


def _data(name: str, data: Any) -> str:
    """JSON in a script element, which only `</script>` and `<!--` could end or change."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


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
    table = _table(params_table(record, best), "compact")
    model = f'<p class="quiet">Its model: {escape(best.model_path)}</p>' if best.model_path else ""
    return (
        f'<section id="best"><h2>Best parameters (trial {best.number})</h2>{table}{model}'
        "<details><summary>Every digit, as JSON</summary>"
        f"{_copyable('params', params_json(best))}</details></section>"
    )


def _section(name: str, drawing: Drawing | str) -> str:
    title = escape(REPORTS[name].title)
    if isinstance(drawing, str):
        return f'<section id="{name}"><h2>{title}</h2><p class="sentence">{escape(drawing)}</p></section>'
    height = int(drawing.figure.layout.height)
    table = _table(drawing.table) if drawing.table else ""
    return (
        f'<section id="{name}"><h2>{title}</h2>{table}'
        f'<div class="figure" role="img" aria-label="{title}" data-figure="data-{name}" '
        f'style="height:{height}px"></div>'
        f'<p class="caption">{escape(drawing.caption)}</p></section>'
    )


def _failures(record: StudyRecord) -> str:
    table = failures_table(record)
    return f'<section id="failures"><h2>Failed trials</h2>{_table(table, "messages")}</section>' if table else ""


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


def _table(table: Table, kind: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.header)
    rows = []
    for first, *rest in table.rows:
        cells = (
            f'<td data-column="{escape(column)}">{escape(cell)}</td>'
            for column, cell in zip(table.header[1:], rest, strict=True)
        )
        rows.append(f'<tr><th scope="row">{escape(first)}</th>{"".join(cells)}</tr>')
    body = "".join(rows)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
