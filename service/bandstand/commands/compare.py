"""`bandstand compare`: several strategies on one study's problem, repeated, at the same budget.

Knows the command's options and prints. Must not know how a comparison is made or judged.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandstand.commands.options import AsJson, ComparisonName, DataMayDiffer, Strategies, Workers
from bandstand.errors import INTERRUPTED
from bandstand.study.budget_text import BUDGET_FORMS

if TYPE_CHECKING:
    from bandstand.running.run import RunOptions
    from bandstand.store.store import Store
    from bandstand.study.comparison_plan import ComparisonPlan

__all__ = ["compare"]

_REPEATS = 5

File = Annotated[str, typer.Argument(help="study.toml, train.py:study, a built-in study, or the name of a comparison.")]
Repeats = Annotated[
    int | None, typer.Option(min=1, help=f"Studies of each strategy, a seed each; {_REPEATS} when left out.")
]
BudgetTexts = Annotated[list[str] | None, typer.Option(help=f"Of each study, instead of the file's: {BUDGET_FORMS}.")]
MaxEpochs = Annotated[int | None, typer.Option(min=1, help="Instead of the study's.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of the first repeat, instead of the study's.")]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="Take finished studies with the same settings instead of running them.")
]
Output = Annotated[Path | None, typer.Option("--output", "--out", "-o", help="Write the report: .html, .md or .json.")]


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
) -> int:
    """Compare strategies at the same budget, several times each; the same command goes on or extends it."""
    from bandstand.commands.report import check_report_file
    from bandstand.commands.wanted_comparison import SpecChanges, WantedComparison
    from bandstand.running.run import RunOptions
    from bandstand.store.store import Store

    if output is not None:
        check_report_file(output)
    store = Store.open()
    changes = SpecChanges(budget=budget, max_epochs=max_epochs, seed=seed)
    wanted = WantedComparison(
        file=file, strategies=strategies, repeats=repeats, changes=changes, name=as_name, default_repeats=_REPEATS
    )
    plan, code_path = wanted.plan(store)
    plan = store.plans.keep(_with_reused(store, plan, reuse, quiet=as_json))
    options = RunOptions(workers=workers, code_path=code_path, data_may_differ=data_may_differ)
    try:
        _run(store, plan, options, quiet=as_json)
    except KeyboardInterrupt:
        typer.echo(f"paused; `bandstand compare {shlex.quote(file)}` goes on where it stopped", err=True)
        return INTERRUPTED
    _show(store, plan, output, as_json)
    return 0


def _run(store: Store, plan: ComparisonPlan, options: RunOptions, *, quiet: bool) -> None:
    """Run the studies of a comparison that are its own.

    Raises:
        KeyboardInterrupt: after the running trials were paused.
    """
    from bandstand.comparison.display import make_comparison_display
    from bandstand.running.live import NoDisplay
    from bandstand.running.run import run_studies

    own = [each for each in plan.studies() if (each.arm, each.repeat) not in plan.taken]
    display = NoDisplay() if quiet else make_comparison_display(store, own)
    run_studies(store, [each.spec for each in own], options, display)


def _show(store: Store, plan: ComparisonPlan, output: Path | None, as_json: bool) -> None:
    """Print what a comparison has found, and write its report."""
    from bandstand.commands.report import write_comparison_report
    from bandstand.comparison.numbers import json_from
    from bandstand.comparison.results import read_results
    from bandstand.comparison.terminal import print_results

    results = read_results(store, plan)
    if as_json:
        typer.echo(json.dumps(json_from(results), indent=2))
    else:
        print_results(results)
    if output is not None:
        write_comparison_report(store, results, output)
        if not as_json:
            typer.echo(str(output.absolute()))


def _with_reused(store: Store, plan: ComparisonPlan, wanted: bool, *, quiet: bool) -> ComparisonPlan:
    """With finished studies of the same settings in place of those that would be run, or a word that there are some."""
    import dataclasses

    own = [each for each in plan.studies() if (each.arm, each.repeat) not in plan.taken]
    alike = store.plans.finished_like([each.spec for each in own])
    found = {
        (each.arm, each.repeat): others[0]
        for each in own
        if (others := alike[each.spec.name]) and each.spec.name not in others
    }
    if not found:
        return plan
    if wanted:
        return dataclasses.replace(plan, taken=plan.taken | found)
    if not quiet:
        (arm, repeat), study = next(iter(found.items()))
        typer.echo(
            f"{len(found)} of {len(plan.studies())} studies were run before with the same settings, such as {study!r} "
            f"({arm}, repeat {repeat + 1}); --reuse takes them instead of running them again"
        )
    return plan
