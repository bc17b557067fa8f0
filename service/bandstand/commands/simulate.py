"""`bandstand simulate`: what a strategy would do with a budget and workers, before any GPU is paid for.

Knows the command's options and prints. Must not know how a simulation works.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import AsJson
from bandstand.commands.output_files import check_report_file
from bandstand.study.budget_text import BUDGET_FORMS

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
    from bandstand.commands.work.simulating import numbers_from, show_simulated, simulated, study_in
    from bandstand.simulation.cluster import VirtualCluster
    from bandstand.simulation.learning_curves.sources import open_source
    from bandstand.simulation.simulated_study import make_study

    if output is not None:
        check_report_file(output)
    cluster = VirtualCluster(
        workers=workers,
        speeds=numbers_from("--speeds", speeds),
        start_seconds=numbers_from("--start-seconds", start_seconds),
        straggling=stragglers,
        deaths_per_hour=failures,
    )
    source, given = open_source(curves, epoch_seconds), study_in(file)
    study = make_study(given, source, workers=workers, budget=budget or (), max_epochs=max_epochs, seed=seed)
    show_simulated(simulated(study, source, cluster, strategies, repeats), output, as_json)
