"""Which parts the report of simulated strategies has, and in which order.

Knows the parts. Must not know how a figure is made or shown.
"""

from __future__ import annotations

from bandstand.report.content import Bullets, Document, Figure, Prose, Section, Sheet
from bandstand.report.drawing.drawing import Table
from bandstand.simulation.comparison import Comparison
from bandstand.simulation.report import best_so_far, shares
from bandstand.simulation.report.summary import Cells, answer_from, result_table, settings_sentence, work_table

__all__ = ["make_simulation_report"]


def make_simulation_report(comparison: Comparison) -> Document:
    """The answer and its tables, then what each strategy did with budget and workers."""
    figures = (
        Figure("best_by_epochs", "Best value by epochs", best_so_far.draw_best_by_epochs(comparison)),
        Figure("best_by_time", "Best value by simulated time", best_so_far.draw_best_by_time(comparison)),
        Figure("worker_time", "Where the workers' time went", shares.draw_worker_time(comparison)),
        Figure("rungs", "Epochs that trials reached", shares.draw_rungs(comparison)),
        Figure("trial_ends", "How trials ended", shares.draw_trial_ends(comparison)),
    )
    opening = (
        Prose(answer_from(comparison), "answer"),
        Prose(settings_sentence(comparison), "quiet"),
        *((Bullets("Limits of this simulation", comparison.notes),) if comparison.notes else ()),
        Sheet(_table(result_table(comparison))),
        Sheet(_table(work_table(comparison))),
        Prose(
            "All numbers are medians over the repeats. The value is the best of any trial and epoch, and equal values "
            "share the first place. Time is virtual. Only the cost of a decision (a report or a request for work) was "
            "measured on this machine.",
            "quiet",
        ),
    )
    sections = (Section("value", "Value", figures[:2]), Section("work", "Work", figures[2:]))
    return Document(f"{comparison.spec.name}, simulated", "simulated", opening, sections)


def _table(cells: Cells) -> Table:
    header, rows = cells
    return Table(("Strategy", *header[1:]), tuple(rows))
