"""The page of a comparison: one HTML file that needs nothing else.

Knows its parts and their order. Must not know how a figure is made.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from service.report.document import make_document, make_section, make_table
from service.report.drawing import Drawing, Table
from service.simulation import best_so_far, shares
from service.simulation.comparison import Comparison
from service.simulation.summary import Cells, answer_from, result_table, settings_sentence, work_table

__all__ = ["write_page"]


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page of a comparison; a file that is there is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(_page(comparison), encoding="utf-8")


def _page(comparison: Comparison) -> str:
    drawings: dict[str, tuple[str, Drawing]] = {
        "best_by_epochs": ("What the budget buys", best_so_far.draw_best_by_epochs(comparison)),
        "best_by_time": ("What one waits for", best_so_far.draw_best_by_time(comparison)),
        "worker_time": ("Where the workers' time went", shares.draw_worker_time(comparison)),
        "rungs": ("How far trials got", shares.draw_rungs(comparison)),
        "trial_ends": ("How trials ended", shares.draw_trial_ends(comparison)),
    }
    body = [_head(comparison), *(make_section(name, title, drawing) for name, (title, drawing) in drawings.items())]
    name = f"{comparison.spec.name}, simulated"
    return make_document(name, body, {name: drawing for name, (_, drawing) in drawings.items()})


def _head(comparison: Comparison) -> str:
    parts = [
        f'<h1>{escape(comparison.spec.name)} <span class="state">simulated</span></h1>',
        f'<p class="answer">{escape(answer_from(comparison))}</p>',
        f'<p class="quiet">{escape(settings_sentence(comparison))}</p>',
    ]
    if comparison.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
        parts.append(f'<div class="notices" role="note"><ul>{items}</ul></div>')
    parts.append(
        "<noscript><p>The figures are drawn by a script in this file; scripts are switched off.</p></noscript>"
    )
    parts += [_table(result_table(comparison)), _table(work_table(comparison))]
    parts.append(
        '<p class="caption">Medians over the repeats. The value is the best that any trial had at any epoch; equal '
        "ones share the first place. Time is virtual; only the cost of a decision, a report or a request for work, was "
        "measured, on this machine.</p>"
    )
    return "".join(parts)


def _table(cells: Cells) -> str:
    header, rows = cells
    return make_table(Table(("Strategy", *header[1:]), tuple(rows)))
