"""What `bandstand compare` does: the plan that its options ask for, run, printed and written.

Knows studies' files and plans that are stored. Must not know how a comparison is judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from bandstand.commands.work.reporting import write_comparison_report
from bandstand.comparison.display import make_comparison_display
from bandstand.comparison.numbers import json_from
from bandstand.comparison.results import read_results
from bandstand.comparison.terminal import print_results
from bandstand.errors import InputError
from bandstand.report.text import counted
from bandstand.running.live_display import NoDisplay
from bandstand.running.run import RunOptions, run_studies
from bandstand.store.store import Store
from bandstand.study.budget_text import budget_from
from bandstand.study.comparison_plan import ComparisonPlan, make_plan
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.study.users_code.kept_functions import keep_functions

__all__ = ["SpecChanges", "WantedComparison", "run_comparison", "show_comparison", "with_reused"]


@dataclass(frozen=True, kw_only=True)
class SpecChanges:
    """What takes the place of a study's settings; None leaves them as they are."""

    budget: list[str] | None
    max_epochs: int | None
    seed: int | None

    @property
    def are_none(self) -> bool:
        """Whether nothing changes."""
        return self.budget is None and self.max_epochs is None and self.seed is None

    def applied(self, spec: StudySpec, where: str) -> StudySpec:
        """The study with them; `where` is its file, for the message.

        Raises:
            InputError: they break a rule.
        """
        budget = None if self.budget is None else budget_from(self.budget)
        changes = {"budget": budget, "max_epochs": self.max_epochs, "seed": self.seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return study_spec_from(spec.model_dump() | given, where)


@dataclass(frozen=True, kw_only=True)
class WantedComparison:
    """What is asked for."""

    file: str
    """Of the study, or the name of a stored comparison."""
    strategies: list[str] | None
    repeats: int | None
    changes: SpecChanges
    name: str | None
    default_repeats: int

    def plan(self, store: Store) -> tuple[ComparisonPlan, list[str]]:
        """Its plan, and where the study's code is.

        Raises:
            InputError: it cannot be made.
        """
        if self.file in store.plans.names():
            return self._extended(store.plans.get(self.file)), [str(Path.cwd())]
        found = find_study(self.file)
        spec = keep_functions(self.changes.applied(found.spec, self.file))
        name = self.name or f"{spec.name}-comparison"
        strategies, repeats = self.strategies, self.repeats
        if name in store.plans.names():
            known = store.plans.get(name)
            strategies = strategies or [arm.label for arm in known.arms]
            repeats = repeats or known.repeats
        return make_plan(name, spec, strategies or [], repeats or self.default_repeats), found.code_path

    def _extended(self, stored: ComparisonPlan) -> ComparisonPlan:
        if self.name or not self.changes.are_none:
            raise InputError(
                f"the settings of a stored comparison cannot change; {self.file!r} is one: leave out --budget, "
                "--max-epochs, --seed and --as, or name the study's file"
            )
        repeats = self.repeats or stored.repeats
        plan = make_plan(self.file, stored.spec, self.strategies, repeats) if self.strategies else stored
        return stored.extended(plan.arms, repeats)


def with_reused(store: Store, plan: ComparisonPlan, wanted: bool, *, quiet: bool) -> ComparisonPlan:
    """With finished studies of the same settings in place of those that would be run, or a word that there are some."""
    own = plan.own_studies()
    alike = store.plans.finished_like([each.spec for each in own])
    found = {
        (each.arm, each.repeat): others[0]
        for each in own
        if (others := alike[each.spec.name]) and each.spec.name not in others
    }
    if not found:
        return plan
    if wanted:
        return replace(plan, taken=plan.taken | found)
    if not quiet:
        (arm, repeat), study = next(iter(found.items()))
        typer.echo(
            f"{len(found)} of {counted(len(plan.studies()), 'study', 'studies')} ran before with the same settings, "
            f"such as {study!r} ({arm}, repeat {repeat + 1}); --reuse uses them instead of running them again"
        )
    return plan


def run_comparison(store: Store, plan: ComparisonPlan, options: RunOptions, *, quiet: bool) -> None:
    """Run the studies of a comparison that are its own.

    Raises:
        KeyboardInterrupt: after the running trials were paused.
    """
    own = plan.own_studies()
    display = NoDisplay() if quiet else make_comparison_display(store, own)
    run_studies(store, [each.spec for each in own], options, display)


def show_comparison(store: Store, plan: ComparisonPlan, output: Path | None, as_json: bool) -> None:
    """Print what a comparison has found, and write its report."""
    results = read_results(store, plan)
    if as_json:
        typer.echo(json.dumps(json_from(results), indent=2))
    else:
        print_results(results)
    if output is not None:
        write_comparison_report(store, results, output)
        if not as_json:
            typer.echo(str(output.absolute()))
