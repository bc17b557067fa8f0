"""What `bandstand simulate` does: strategies simulated, printed and written.

Knows what is printed, and in which order. Must not know how a simulation works.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from bandstand.errors import InputError
from bandstand.report.forms.terminal_tables import make_console, print_table
from bandstand.report.text import counted
from bandstand.simulation.cluster import VirtualCluster
from bandstand.simulation.comparison import Comparison, compare
from bandstand.simulation.learning_curves.curves import CurveSource
from bandstand.simulation.report.summary import (
    RUNGS_CAPTION,
    answer_from,
    json_from,
    result_table,
    rung_table,
    settings_sentence,
    work_table,
)
from bandstand.simulation.simulated_study import SimulatedStudy
from bandstand.study.find_study import find_study
from bandstand.study.strategy_choices import strategies_from, strategy_of, with_and_without_avoiding
from bandstand.study.study_spec import StudySpec

__all__ = ["numbers_from", "show_simulated", "simulated", "study_in"]


def study_in(file: str | None) -> StudySpec | None:
    """The study of a file; None where none is named.

    Raises:
        InputError: there is none, or it breaks a rule.
    """
    return None if file is None else find_study(file).spec


def numbers_from(option: str, text: str) -> tuple[float, ...]:
    """Numbers as they are given on the command line.

    Raises:
        InputError: they are none.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} must be numbers with commas between them, such as 1,1,0.5; got {text!r}") from None


def simulated(
    study: SimulatedStudy,
    source: CurveSource,
    cluster: VirtualCluster,
    strategies: list[str] | None,
    repeats: int,
    *,
    with_and_without: bool = False,
) -> Comparison:
    """The study simulated with each of the strategies; with its own where None.

    Args:
        study: what is simulated.
        source: its curves.
        cluster: its workers.
        strategies: as a user writes them.
        repeats: studies of each.
        with_and_without: each strategy twice, the second time without learning from failures.
    """
    choices = strategies_from(strategies) if strategies else [strategy_of(study.spec)]
    if with_and_without:
        choices = [both for choice in choices for both in with_and_without_avoiding(choice)]
    progress = _Progress(len(choices) * repeats)
    comparison = compare(
        study.spec, source, cluster, choices, repeats=repeats, notes=study.notes, stopwatch=time.perf_counter,
        note_progress=progress.note,
    )  # fmt: skip
    progress.end()
    return comparison


class _Progress:
    """A line on the terminal that says what is being simulated; silent where standard error is no terminal."""

    def __init__(self, total: int):
        self._status = Console(stderr=True).status("simulating …")
        self._total = total
        self._count = 0
        self._status.start()

    def note(self, label: str, repeat: int) -> None:
        """Another study begins."""
        self._count += 1
        self._status.update(f"simulating {label}, study {self._count} of {self._total} …")

    def end(self) -> None:
        """Take the line away."""
        self._status.stop()


def show_simulated(comparison: Comparison, output: Path | None, as_json: bool) -> None:
    """Print what was simulated, and write its report."""
    if output is not None:  # figures take half a second to import
        from bandstand.report.forms.page import write_document
        from bandstand.simulation.report.outline import make_simulation_report

        write_document(make_simulation_report(comparison), output)
    if as_json:
        typer.echo(json.dumps(json_from(comparison), indent=2))
        return
    _print(comparison)
    if output is not None:
        typer.echo(str(output.absolute()))


def _print(comparison: Comparison) -> None:
    """Print what was simulated, a table of strategies, how far their trials went, and the answer in a sentence."""
    console = make_console(soft_wrap=True)
    console.print(Text(f"{comparison.spec.name}, simulated", style="bold"))
    console.print(settings_sentence(comparison), markup=False, highlight=False)
    for note in comparison.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    console.print()
    print_table(console, *result_table(comparison))
    console.print()
    print_table(console, *work_table(comparison))
    console.print(Text(f"\n{RUNGS_CAPTION}", style="dim"))
    print_table(console, *rung_table(comparison))
    console.print()
    console.print(answer_from(comparison), markup=False, highlight=False)
    for entry in comparison.entries:
        failed = [result for result in entry.results if result.failed]
        if failed:
            console.print(
                Text(
                    f"{entry.label}: {len(failed)} of {counted(comparison.repeats, 'study', 'studies')} failed: "
                    f"{failed[0].reason}",
                    style="bold red",
                )
            )
