"""`bandstand compare`: several strategies on one study's problem, repeated, at the same budget.

Knows the command's options and prints. Must not know how a comparison is made or judged.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandstand.commands.options import Workers
from bandstand.errors import INTERRUPTED
from bandstand.study.budget_text import BUDGET_FORMS

if TYPE_CHECKING:
    from bandstand.store.store import Store
    from bandstand.study.comparison_plan import ComparisonPlan

__all__ = ["AsName", "DataMayDiffer", "Strategies", "compare"]

_REPEATS = 5

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        help="SAMPLER+PRUNER with commas, such as tpe+asha,hyperband,pbt; else the study's. A sampler alone has no "
        "pruner, not asha as in a study file. Random and grid search are always among them."
    ),
]
AsName = Annotated[str | None, typer.Option("--as", help="The comparison's name; NAME-comparison when left out.")]
DataMayDiffer = Annotated[
    bool,
    typer.Option(
        "--data-may-differ", help="Go on where a trainer has other data than the study's first; the reports say so."
    ),
]


def compare(
    file: Annotated[
        str, typer.Argument(help="study.toml, train.py:study, a built-in study, or the name of a comparison.")
    ],
    strategies: Strategies = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help=f"Studies of each strategy, a seed each; {_REPEATS} when left out.")
    ] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help=f"Of each study, instead of the file's: {BUDGET_FORMS}.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the study's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first repeat, instead of the study's.")] = None,
    as_name: AsName = None,
    workers: Workers = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take finished studies with the same settings instead of running them.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", help="Write the report: .html, .md or .json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")] = False,
    data_may_differ: DataMayDiffer = False,
) -> int:
    """Compare strategies at the same budget, several times each; the same command goes on or extends it."""
    from bandstand.commands.report import check_report_file, write_comparison_report
    from bandstand.comparison.display import make_comparison_display
    from bandstand.comparison.results import read_results
    from bandstand.comparison.terminal import print_results
    from bandstand.running.live import NoDisplay
    from bandstand.running.run import run_studies
    from bandstand.store.store import Store

    if output is not None:
        check_report_file(output)
    store = Store.open()
    changes = {"budget": budget, "max_epochs": max_epochs, "seed": seed}
    given = {name: value for name, value in changes.items() if value is not None}
    plan, code_path = _plan(store, file, strategies, repeats, given, as_name)
    plan = _with_reused(store, plan, reuse, quiet=as_json)
    plan = store.plans.keep(plan)
    planned = plan.studies()
    own = [each for each in planned if (each.arm, each.repeat) not in plan.taken]
    display = NoDisplay() if as_json else make_comparison_display(store, own)
    try:
        run_studies(
            store, [each.spec for each in own], workers=workers, code_path=code_path, display=display,
            data_may_differ=data_may_differ,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(f"paused; `bandstand compare {shlex.quote(file)}` goes on where it stopped", err=True)
        return INTERRUPTED
    results = read_results(store, plan)
    if as_json:
        from bandstand.comparison.numbers import json_from

        typer.echo(json.dumps(json_from(results), indent=2))
    else:
        print_results(results)
    if output is not None:
        write_comparison_report(store, results, output)
        if not as_json:
            typer.echo(str(output.absolute()))
    return 0


def _plan(
    store: Store,
    file: str,
    strategies: list[str] | None,
    repeats: int | None,
    changes: dict[str, Any],
    as_name: str | None,
) -> tuple[ComparisonPlan, list[str]]:
    """The plan that the options describe, and where the study's code is."""
    from bandstand.errors import InputError
    from bandstand.study.budget_text import budget_from
    from bandstand.study.comparison_plan import make_plan
    from bandstand.study.study import study_spec_from
    from bandstand.study.study_file import find_study
    from bandstand.study.users_code.kept_functions import keep_functions

    if file in store.plans.names():
        if changes or as_name:
            raise InputError(
                f"the settings of a stored comparison stay; {file!r} is one: leave --budget, --max-epochs, --seed and "
                "--as out, or name the study's file"
            )
        stored = store.plans.get(file)
        plan = make_plan(file, stored.spec, strategies, repeats or stored.repeats) if strategies else stored
        return stored.extended(plan.arms, repeats or stored.repeats), [str(Path.cwd())]
    found = find_study(file)
    if "budget" in changes:
        changes = changes | {"budget": budget_from(changes["budget"])}
    spec = keep_functions(study_spec_from(found.spec.model_dump() | changes, file))
    name = as_name or f"{spec.name}-comparison"
    if name in store.plans.names():
        known = store.plans.get(name)
        strategies = strategies or [arm.label for arm in known.arms]
        repeats = repeats or known.repeats
    return make_plan(name, spec, strategies or [], repeats or _REPEATS), found.code_path


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
