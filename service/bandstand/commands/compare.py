"""`bandstand compare`: several strategies on one study's problem, repeated, at the same budget.

Knows the command's options and prints. Must not know how a comparison is made or judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import AsJson, CodeMayDiffer, ComparisonName, DataMayDiffer, Strategies, Workers
from bandstand.commands.output_files import check_report_file
from bandstand.errors import INTERRUPTED
from bandstand.study.budget_text import BUDGET_FORMS

__all__ = ["compare"]

_REPEATS = 5

File = Annotated[
    str,
    typer.Argument(
        help="A study file (study.toml), a Python object (train.py:study), a built-in study, or the name of a stored "
        "comparison."
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(min=1, help=f"Number of studies per strategy, each with its own seed. Default: {_REPEATS}."),
]
BudgetTexts = Annotated[
    list[str] | None, typer.Option(help=f"Budget of each study, instead of the file's: {BUDGET_FORMS}.")
]
MaxEpochs = Annotated[int | None, typer.Option(min=1, help="Epochs of a full training, instead of the file's.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the first repeat, instead of the file's.")]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="Use finished studies with the same settings instead of running them again.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "--out", "-o", help="Write the report to this file: .html, .md or .json.")
]


def compare(
    file: File,
    strategies: Strategies = None,
    repeats: Repeats = None,
    budget: BudgetTexts = None,
    max_epochs: MaxEpochs = None,
    seed: Seed = None,
    as_name: ComparisonName = None,
    workers: Workers = None,
    reuse: Reuse = False,
    output: Output = None,
    as_json: AsJson = False,
    data_may_differ: DataMayDiffer = False,
    code_may_differ: CodeMayDiffer = False,
) -> int:
    """Compare strategies: run each one several times, all at the same budget.

    The same command continues a comparison that was interrupted.
    With more strategies or repeats it extends the comparison.
    """
    from bandstand.commands.work import comparing
    from bandstand.running.extras_for_training import require_training
    from bandstand.running.run import RunOptions
    from bandstand.store.store import Store

    require_training("`bandstand compare`")
    if output is not None:
        check_report_file(output)
    store = Store.open()
    changes = comparing.SpecChanges(budget=budget, max_epochs=max_epochs, seed=seed)
    wanted = comparing.WantedComparison(
        file=file, strategies=strategies, repeats=repeats, changes=changes, name=as_name, default_repeats=_REPEATS
    )
    plan, code_path = wanted.plan(store)
    plan = store.plans.keep(comparing.with_reused(store, plan, reuse, quiet=as_json))
    options = RunOptions(
        workers=workers, code_path=code_path, data_may_differ=data_may_differ, code_may_differ=code_may_differ
    )
    try:
        comparing.run_comparison(store, plan, options, quiet=as_json)
    except KeyboardInterrupt:
        typer.echo("paused; the same command continues where it stopped", err=True)
        return INTERRUPTED
    comparing.show_comparison(store, plan, output, as_json)
    return 0
