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
    typer.Argument(
        help="A study file (study.toml), a Python object (train.py:study) or a built-in study. Not needed "
        "with recorded curves."
    ),
]
VirtualWorkers = Annotated[int, typer.Option("--workers", "-w", help="Number of virtual workers.")]
Curves = Annotated[
    str, typer.Option(help="Learning curves: analytic (made up), lcbench:TASK or taskset:TASK (recorded).")
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        help="Strategies to simulate, with commas between them, such as tpe+asha:min_epochs=1,random. Without "
        "+PRUNER, no trial is pruned. (In a study file the default is asha.) Default: the study's strategy."
    ),
]
BudgetTexts = Annotated[
    list[str] | None, typer.Option(help=f"Budget of each study, instead of the file's: {BUDGET_FORMS}.")
]
MaxEpochs = Annotated[int | None, typer.Option(help="Epochs of a full training, instead of the file's.")]
Repeats = Annotated[int, typer.Option(min=1, help="Number of studies per strategy, each with its own seed.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the first repeat, instead of the file's.")]
EpochSeconds = Annotated[
    float, typer.Option(help="Average duration of an epoch in seconds. lcbench uses its recorded durations instead.")
]
Speeds = Annotated[str, typer.Option(help="Relative speeds, given to the workers in turn, such as 1,1,0.5.")]
StartSeconds = Annotated[
    str, typer.Option(help="Seconds until a worker is ready, given to the workers in turn, such as 0,30.")
]
Stragglers = Annotated[
    float,
    typer.Option(
        help="Random slowness of epochs: each takes 1 + |z| times as long. z is normally distributed with this "
        "standard deviation."
    ),
]
Failures = Annotated[float, typer.Option(help="Average number of times that each worker dies per hour.")]
Failing = Annotated[
    str | None,
    typer.Option(
        help="Shares of the space in which trials fail, such as memory:0.3,nan:0.2,time:0.1. "
        "Each strategy is simulated with avoid_failures and without it."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "--out", "-o", help="Write the report to this file: .html (with plots), .md or .json."),
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
    failing: Failing = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Simulate what strategies do with your budget and workers. Nothing is trained."""
    from bandstand.commands.work.simulating import numbers_from, show_simulated, simulated, study_in
    from bandstand.simulation.cluster import VirtualCluster
    from bandstand.simulation.learning_curves.failing import FailingSource, regions_from
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
    if failing is not None:
        source = FailingSource(source, regions_from(failing))
    study = make_study(given, source, workers=workers, budget=budget or (), max_epochs=max_epochs, seed=seed)
    found = simulated(study, source, cluster, strategies, repeats, with_and_without=failing is not None)
    show_simulated(found, output, as_json)
