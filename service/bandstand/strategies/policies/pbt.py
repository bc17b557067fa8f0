"""Population-based training: members train side by side, and the worst go on from the best with changed params."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.options import options_from
from bandstand.strategies.policies.explore import (
    Change,
    Factors,
    Resample,
    Rule,
    check_changeable,
    explored,
    usually_changed,
)
from bandstand.strategies.policies.population import Population, PopulationOptions, changes, check_interval
from bandstand.strategies.randomness import generator_for
from bandstand.strategies.strategy import Promotion, Proposal, Retirement, Situation, Step
from bandstand.trials.events import Ended, Event, Proposed, TrialState
from bandstand.trials.history import Trial

if TYPE_CHECKING:
    import numpy as np


__all__ = ["PBTOptions", "PopulationBasedTraining"]


class PBTOptions(PopulationOptions):
    """Options of sampler pbt."""

    exploit: Literal["truncation", "tournament"] = "truncation"
    """How a weak member is replaced. `truncation`: a member among the worst `fraction` continues from one of the best
    `fraction`. `tournament`: a member is compared with another one at random and continues from it if that one is
    better."""
    fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """With `truncation`: the share of members that are replaced, and the share that they continue from."""
    resample: Resample = 0.25
    """Probability that a parameter that changes is drawn anew from its range. Otherwise `factors` perturb it."""
    factors: Factors = (0.8, 1.2)
    """Two factors, one below and one above 1. A number that is perturbed is multiplied by one of them. In a range
    that includes 0 or negative values, it moves by half the range times (factor - 1) instead."""
    rules: dict[str, Rule] = Field(default_factory=dict)
    """Table of parameters that have their own `factors` or `resample`, such as
    `rules.dropout = { resample = 0.1 }`."""

    def changing(self, spec: Problem) -> dict[str, Change]:
        """The parameters that change when a member goes on from another, and how."""
        names = usually_changed(spec.space, spec.batch_size) if self.explore is None else self.explore
        rules = {name: self.rules.get(name, Rule()) for name in names}
        return {
            name: Change(
                factors=self.factors if rule.factors is None else rule.factors,
                resample=self.resample if rule.resample is None else rule.resample,
            )
            for name, rule in rules.items()
        }


class PopulationBasedTraining(Population):
    """Asynchronous population-based training (Jaderberg et al., 2017, arXiv 1711.09846), on any number of workers.

    A member is a slot of the population: the trial in it, and the trials that it was before. At every interval a member
    pauses, and the free worker takes the member that has trained least. If that is among the worst, its trial ends and
    a child takes the slot, with the checkpoint of one of the best at that one's epoch and explored params; else it
    trains on. Members count by their latest value, whatever epoch that was. A member whose training failed is replaced
    in the same way. When all have ended and there is budget left, another population begins.

    Everything is read from the trials: the slot is the trial's bracket, the lineage its parent.
    """

    summary: ClassVar[str] = (
        "Population-based training: the worst members continue from checkpoints of the best, with changed params."
    )
    name: ClassVar[str] = "pbt"
    options: ClassVar[type[PBTOptions]] = PBTOptions
    exhausted = "the population is trained"

    def __init__(self, spec: Problem):
        self._options = options_from(f"sampler {self.name}", self.options, spec.sampler_options)
        super().__init__(spec, self._options)
        self._changes = self._options.changing(spec)
        self._vacant: dict[int, None] = {}  # slots whose trial has ended and that want a child

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options = options_from(f"sampler {cls.name}", cls.options, spec.sampler_options)
        check_interval(options.interval, spec, cls.name)
        check_changeable(spec.space, options.explore or (), f"option explore of sampler {cls.name}")
        changing = options.changing(spec)
        for name in options.rules:
            if name not in changing:
                raise ValueError(
                    f"option rules of sampler {cls.name} may name parameters that change, "
                    f"{', '.join(changing) or 'none'}; got {name!r}: name it in option explore, too, or leave it out"
                )

    @classmethod
    def make(cls, spec: Problem) -> PopulationBasedTraining:
        """As `Policy.make`."""
        return cls(spec)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`: fill the population, replace who has ended, then the member that trained least."""
        vacant = next(iter(self._vacant), None)
        if vacant is not None:
            parent = self._parent_for(vacant, situation.number)
            if parent is not None:  # else there is none for other vacant slots either
                return self._child(situation.number, vacant, parent)
        member = self._new_member(situation)
        if member is not None or not self._paused:
            return member
        slot, trial = self._least_trained()
        parent = self._parent_for(slot, situation.number)
        if parent is not None and self._gives_way(slot, parent):
            reason = self._words(slot, f"replaced by a child of trial {parent.number}")
            return Retirement(trial=trial.number, reason=reason)
        return Promotion(trial=trial.number, reason=self._words(slot, "trains on"))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        super().observe(event, trial)
        if isinstance(event, Proposed) and trial is not None:
            self._vacant.pop(trial.bracket, None)
        elif isinstance(event, Ended) and trial is not None and event.state is not TrialState.COMPLETE:
            self._vacant[trial.bracket] = None

    def _begin_population(self) -> None:
        super()._begin_population()
        self._vacant.clear()  # of those who failed when nobody was left to go on from

    def _parent_for(self, slot: int, number: int) -> Trial | None:
        """From whom a child in this slot would go on, were trial `number` one; None while there is nobody."""
        mine = self._parents.of(self._members[slot])
        others = len(self._parents) - (mine is not None)
        if not others:
            return None
        few = others if self._options.exploit == "tournament" else ceil(others * self._options.fraction)
        place = int(generator_for(self._spec.seed, number, "exploit").integers(few))
        return self._parents[place + 1 if mine is not None and mine <= place else place]

    def _gives_way(self, slot: int, parent: Trial) -> bool:
        """Whether a paused member is so much worse than this parent that a child of that one takes its place."""
        mine, its = self._fellows.of(self._members[slot]), self._fellows.of(parent)
        if mine is None or its is None:
            return False
        if self._options.exploit == "tournament":
            return its < mine
        count = len(self._fellows)
        few = ceil(count * self._options.fraction)
        return mine >= max(few, count - few) and its < few

    def _child(self, number: int, slot: int, parent: Trial) -> Proposal:
        """The trial that takes a slot."""
        params = self._explore(parent, generator_for(self._spec.seed, number, "explore"))
        before = self._members[slot]
        return Proposal(
            params=params,
            bracket=slot,
            parent=parent.number,
            from_epoch=parent.checkpoint_epoch,
            origin=f"replaces trial {before.number}: continues trial {parent.number}, {changes(parent.params, params)}",
        )

    def _explore(self, parent: Trial, rng: np.random.Generator) -> Mapping[str, Any]:
        """Params for a child."""
        return explored(parent.params, self._spec.space, self._changes, rng)
