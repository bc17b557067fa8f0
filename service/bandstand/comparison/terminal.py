"""Prints a comparison for people. Must not know how it was judged."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bandstand.comparison.conclusions import judge
from bandstand.comparison.results import Results
from bandstand.comparison.summary import (
    answer_from,
    arms_table,
    baseline_table,
    grid_sentences,
    settings_sentence,
    state_sentences,
)
from bandstand.report.drawing.drawing import Table
from bandstand.report.forms.terminal_tables import make_console, print_table

__all__ = ["print_results"]


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the answer, the table of arms and the differences to the baselines."""
    console = console or make_console(soft_wrap=True)
    conclusions = judge(results)
    console.print(Text(f"\n{results.plan.name}", style="bold"))
    console.print(settings_sentence(results), markup=False, highlight=False)
    for sentence in state_sentences(results):
        console.print(Text(f"note: {sentence}", style="yellow"))
    console.print()
    _print(console, arms_table(results, conclusions))
    for baseline, family in conclusions.against:
        console.print(Text(f"\ncompared with {baseline} search", style="bold"))
        _print(console, baseline_table(family, conclusions.measure))
    console.print()
    for sentence in [*answer_from(results, conclusions), *grid_sentences(results)]:
        console.print(sentence, markup=False, highlight=False)


def _print(console: Console, table: Table) -> None:
    print_table(console, table.header, table.rows)
