"""Which studies a comparison consists of, and in which order they run.

Knows strategies, repeats and seeds. Must not know how studies run or what came out of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bandstand.errors import InputError
from bandstand.strategies import strategy_name
from bandstand.study.strategy_choices import StrategyChoice, strategies_from
from bandstand.study.study_spec import NAME_LIMIT, StudySpec

__all__ = ["ComparisonPlan", "PlannedStudy", "make_plan"]

BASELINES = ("random", "grid")


class PlannedStudy(NamedTuple):
    """One strategy, once."""

    arm: str
    repeat: int
    """From 0."""
    spec: StudySpec


@dataclass(frozen=True, kw_only=True)
class ComparisonPlan:
    """Every arm `repeats` times at the budget of `spec`.

    Repeat r has the seed of `spec` + r in every arm, and with it the same first weights and the same shuffling for
    trials of the same number: common random numbers, so that arms are compared in pairs.
    """

    name: str
    spec: StudySpec
    """What all arms share. Its own strategy is random search; those of the arms stand in `arms`, options included."""
    arms: tuple[StrategyChoice, ...]
    repeats: int
    taken: dict[tuple[str, int], str] = field(default_factory=dict)
    """(arm, repeat) -> name of a study that was run before, instead of one of the comparison's own."""

    def studies(self) -> list[PlannedStudy]:
        """All studies in the order in which they run: each repeat whole, its arms in an order drawn anew.

        A randomized block design (Box, Hunter and Hunter, Statistics for Experimenters, 2005, chapter 4): what changes
        slowly on the machine hits the arms of a block alike, and none always runs first. Each study has all workers
        while it runs, as it would by itself.

        Raises:
            InputError: a strategy cannot work on this study, or a name gets too long.
        """
        return list(self._studies)

    def own_studies(self) -> list[PlannedStudy]:
        """Those of `studies` that are run for the comparison itself, and not taken over."""
        return [each for each in self._studies if (each.arm, each.repeat) not in self.taken]

    @cached_property
    def _studies(self) -> tuple[PlannedStudy, ...]:
        """Each is validated, which is not for nothing."""
        planned = []
        for repeat in range(self.repeats):
            order = np.random.default_rng([self.spec.seed, repeat]).permutation(len(self.arms))
            planned += [self._study(self.arms[index], repeat) for index in order]
        return tuple(planned)

    def study_names(self) -> dict[tuple[str, int], str]:
        """(arm, repeat) -> name of the study, by arms; for whoever needs no specs, which take long to validate."""
        return {(arm.label, repeat): self._name(arm, repeat) for arm in self.arms for repeat in range(self.repeats)}

    def _name(self, arm: StrategyChoice, repeat: int) -> str:
        return self.taken.get((arm.label, repeat)) or f"{self.name}/{arm.label}/{repeat + 1}"

    def _study(self, arm: StrategyChoice, repeat: int) -> PlannedStudy:
        name = self._name(arm, repeat)
        if len(name) > NAME_LIMIT:
            raise InputError(
                f"a study's name must have at most {NAME_LIMIT} characters; {name!r} has {len(name)}: give the "
                "comparison a shorter name (--as; in Python name=)"
            )
        return PlannedStudy(arm.label, repeat, arm.apply(self.spec, name=name, seed=self.spec.seed + repeat))

    def extended(self, arms: Sequence[StrategyChoice], repeats: int) -> ComparisonPlan:
        """With further arms and at least so many repeats; nothing of it goes away."""
        known = {arm.label for arm in self.arms}
        added = tuple(arm for arm in arms if arm.label not in known)
        return dataclasses.replace(self, arms=self.arms + added, repeats=max(self.repeats, repeats))

    def baselines(self) -> tuple[str, ...]:
        """The labels of random and of grid search without a pruner, in this order."""
        return tuple(
            arm.label for name in BASELINES for arm in self.arms if (arm.sampler, arm.pruner) == (name, "none")
        )


def make_plan(name: str, spec: StudySpec, strategies: Sequence[str], repeats: int) -> ComparisonPlan:
    """A plan with these strategies, and with random and grid search, which are the baselines of every comparison.

    Grid search has the finest grid that its budget affords, with all choices, unless its options say otherwise.

    Args:
        name: of the comparison.
        spec: what all arms share; the comparison's budget is its budget.
        strategies: as `strategies_from` reads them; none stand for the spec's own.
        repeats: of each arm, at least 1.

    Raises:
        InputError: a strategy cannot be read, or cannot work on this study.
    """
    arms = strategies_from(strategies) if strategies else [_own(spec)]
    there = {(arm.sampler, arm.pruner) for arm in arms}
    arms += [arm for arm in strategies_from(BASELINES) if (arm.sampler, arm.pruner) not in there]
    shared = strategies_from(["random"])[0].apply(spec, name=name, sampler_options={})
    plan = ComparisonPlan(
        name=name, spec=shared, arms=tuple(_with_all_options(arm, spec) for arm in arms), repeats=repeats
    )
    plan.studies()  # refuses what cannot work
    return plan


def _own(spec: StudySpec) -> StrategyChoice:
    return strategies_from([strategy_name(spec.sampler, spec.pruner, "+")])[0]


def _with_all_options(arm: StrategyChoice, spec: StudySpec) -> StrategyChoice:
    """With those that the study sets for the same sampler or pruner, and the grid with a resolution."""
    if arm.sampler == "grid":
        own = spec.sampler_options if spec.sampler == "grid" else {}
        arm = dataclasses.replace(arm, sampler_options={"points": "auto", **own, **arm.sampler_options})
    found = arm.apply(spec)
    return dataclasses.replace(
        arm, sampler_options=dict(found.sampler_options), pruner_options=dict(found.pruner_options)
    )
