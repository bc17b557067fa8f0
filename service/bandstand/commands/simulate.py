"""`bandstand simulate`: what a strategy would do with a budget and workers, before any GPU is paid for.

Knows the command's options and prints. Must not know how a simulation works.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandstand.commands.options import AsJson
from bandstand.study.budget_text import BUDGET_FORMS

if TYPE_CHECKING:
    from bandstand.simulation.cluster import Cluster
    from bandstand.simulation.comparison import Comparison
    from bandstand.simulation.learning_curves.curves import CurveSource
    from bandstand.simulation.simulated_study import SimulatedStudy
    from bandstand.study.study import StudySpec

__all__ = ["simulate"]


File = Annotated[
    str | None,
    typer.Argument(help="study.toml, train.py:study or a built-in study; may be left out with recorded curves."),
]
VirtualWorkers = Annotated[int, typer.Option("--workers", "-w", help="Virtual workers.")]
Curves = Annotated[str, typer.Option(help="Learning curves: analytic (made up), lcbench:TASK or taskset:TASK.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        help="SAMPLER+PRUNER with commas, such as tpe+asha,random+asha:min_epochs=1; else the study's. A sampler "
        "alone has no pruner, not asha as in a study file."
    ),
]
BudgetTexts = Annotated[list[str] | None, typer.Option(help=f"Instead of the study's: {BUDGET_FORMS}.")]
MaxEpochs = Annotated[int | None, typer.Option(help="Instead of the study's.")]
Repeats = Annotated[int, typer.Option(min=1, help="Simulated studies of each strategy, a seed each.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The first seed, instead of the study's.")]
EpochSeconds = Annotated[float, typer.Option(help="What an epoch takes on average; lcbench has durations of its own.")]
Speeds = Annotated[str, typer.Option(help="Of the workers, in turn, such as 1,1,0.5.")]
StartSeconds = Annotated[str, typer.Option(help="Until a worker is up, in turn, such as 0,30.")]
Stragglers = Annotated[
    float, typer.Option(help="σ: an epoch takes 1 + |z| times as long, z normal with this deviation.")
]
Failures = Annotated[float, typer.Option(help="Deaths of each worker per hour.")]
Output = Annotated[
    Path | None, typer.Option("--output", "--out", "-o", help="Write the report: .html with plots, .md or .json.")
]


def simulate(
    file: File = None,
    workers: VirtualWorkers = 8,
    curves: Curves = "analytic",
    strategies: Strategies = None,
    budget: BudgetTexts = None,
    max_epochs: MaxEpochs = None,
    repeats: Repeats = 5,
    seed: Seed = None,
    epoch_seconds: EpochSeconds = 10.0,
    speeds: Speeds = "1",
    start_seconds: StartSeconds = "0",
    stragglers: Stragglers = 0.0,
    failures: Failures = 0.0,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a study: what would this strategy do with my budget and workers? Trains nothing."""
    from bandstand.commands.report import check_report_file
    from bandstand.simulation.cluster import Cluster
    from bandstand.simulation.learning_curves.sources import open_source
    from bandstand.simulation.simulated_study import make_study

    if output is not None:
        check_report_file(output)
    cluster = Cluster(
        workers=workers,
        speeds=_numbers("--speeds", speeds),
        start_seconds=_numbers("--start-seconds", start_seconds),
        straggling=stragglers,
        deaths_per_hour=failures,
    )
    source, given = open_source(curves, epoch_seconds), _study_in(file)
    study = make_study(given, source, workers=workers, budget=budget or (), max_epochs=max_epochs, seed=seed)
    _show(_simulated(study, source, cluster, strategies, repeats), output, as_json)


def _simulated(
    study: SimulatedStudy, source: CurveSource, cluster: Cluster, strategies: list[str] | None, repeats: int
) -> Comparison:
    """The study simulated with each of the strategies; with its own where None."""
    import time

    from bandstand.simulation.comparison import compare
    from bandstand.study.lineup import strategies_from, strategy_of

    choices = strategies_from(strategies) if strategies else [strategy_of(study.spec)]
    progress = _Progress(len(choices) * repeats)
    comparison = compare(
        study.spec, source, cluster, choices, repeats=repeats, notes=study.notes, stopwatch=time.perf_counter,
        note_progress=progress.note,
    )  # fmt: skip
    progress.end()
    return comparison


def _show(comparison: Comparison, output: Path | None, as_json: bool) -> None:
    """Print what was simulated, and write its report."""
    if output is not None:
        from bandstand.report.forms.page import write_document
        from bandstand.simulation.report.outline import make_simulation_report

        write_document(make_simulation_report(comparison), output)
    if as_json:
        from bandstand.simulation.report.summary import json_from

        typer.echo(json.dumps(json_from(comparison), indent=2))
        return
    print_comparison(comparison)
    if output is not None:
        typer.echo(str(output.absolute()))


def _study_in(file: str | None) -> StudySpec | None:
    if file is None:
        return None
    from bandstand.study.study_file import find_study

    return find_study(file).spec


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from bandstand.errors import InputError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} must be numbers with commas, such as 1,1,0.5; got {text!r}") from None


class _Progress:
    """A line on the terminal that says what is being simulated; silent where standard error is no terminal."""

    def __init__(self, total: int):
        from rich.console import Console

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


def print_comparison(comparison: Comparison) -> None:
    """Print what was simulated, a table of strategies, how far their trials went, and the answer in a sentence."""
    from rich.text import Text

    from bandstand.report.forms.terminal_tables import make_console, print_table
    from bandstand.simulation.report.summary import (
        RUNGS_CAPTION,
        answer_from,
        result_table,
        rung_table,
        settings_sentence,
        work_table,
    )

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
        failed = [outcome for outcome in entry.outcomes if outcome.failed]
        if failed:
            console.print(
                Text(
                    f"{entry.label}: {len(failed)} of {comparison.repeats} studies failed: {failed[0].reason}",
                    style="bold red",
                )
            )
