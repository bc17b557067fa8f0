"""The comparison that the options of `bandstand compare` ask for, as a plan.

Knows studies' files and plans that are stored. Must not know how a comparison is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bandstand.errors import InputError
from bandstand.store.store import Store
from bandstand.study.budget_text import budget_from
from bandstand.study.comparison_plan import ComparisonPlan, make_plan
from bandstand.study.study import StudySpec, study_spec_from
from bandstand.study.study_file import find_study
from bandstand.study.users_code.kept_functions import keep_functions

__all__ = ["SpecChanges", "WantedComparison"]


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
                f"the settings of a stored comparison stay; {self.file!r} is one: leave --budget, --max-epochs, --seed "
                "and --as out, or name the study's file"
            )
        repeats = self.repeats or stored.repeats
        plan = make_plan(self.file, stored.spec, self.strategies, repeats) if self.strategies else stored
        return stored.extended(plan.arms, repeats)
