"""A genetic algorithm without generations: each proposal is a child of trials that stand by then.

Steady state (Whitley, GENITOR, ICGA 1989): a trial that ends joins the parents and the worst of them leaves, so the
best one stays, and no worker waits for another. A trial that pauses at a rung joins them as it stands there, because it
may wait for the rest of the study, and is ranked anew when it goes on. Parents are found by tournament, recombined
uniformly, parameter by parameter (Syswerda, ICGA 1989), and mutated on each parameter's own scale, by steps of which
most are small (the breeder genetic algorithm, Mühlenbein and Schlierkamp-Voosen, Evolutionary Computation 1, 1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.ranking import Ranking
from bandstand.strategies.points.fractions import fraction_of, value_at
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Parameter, Value

__all__ = ["EvolutionSampler"]

_ATTEMPTS = 20
"""How many children are made to find one that was not proposed before; then a point is drawn at random."""


class EvolutionOptions(Options):
    """Options of sampler evolution."""

    population: Annotated[int, Field(ge=2)] = 20
    """Number of parents that are kept. As many trials are drawn at random and must succeed before the first child."""
    tournament: Annotated[int, Field(ge=1)] = 3
    """Number of parents that are drawn for each child; the best of them is chosen. With 1 there is no selection."""
    crossover: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Probability that a child has two parents."""
    mutation: Annotated[float, Field(ge=0, le=1)] | None = None
    """Probability that a parameter mutates. Default: one divided by the number of active parameters."""


class EvolutionSampler(SamplerFacts):
    """A genetic algorithm over params; what a child's choices call for and no parent has is drawn at random."""

    options: ClassVar[type[EvolutionOptions]] = EvolutionOptions
    summary: ClassVar[str] = (
        "Steady-state genetic algorithm with tournament selection, uniform crossover, mutation and elitism."
    )

    def __init__(self, spec: Problem):
        self._options = options_from("sampler evolution", EvolutionOptions, spec.sampler_options)
        self._seed = spec.seed
        self._space = spec.space
        self._ranking = Ranking(spec)
        self._parents: list[Trial] = []  # the best first
        self._best: Trial | None = None
        self._visited = Visited(spec.space)

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler evolution", EvolutionOptions, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> EvolutionSampler:
        """As `Sampler.make`."""
        return cls(spec)

    def propose(self, number: int) -> Mapping[str, Any]:
        """A child of the parents so far, or while there are too few of them a random point."""
        rng = generator_for(self._seed, number, "propose")
        if len(self._parents) == self._options.population:
            for _ in range(_ATTEMPTS):
                child = self._child(rng)
                if child not in self._visited:
                    return child
        return self._visited.new_point(lambda: self._space.sample(rng))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Remember what was proposed; let a trial that has come to rest in among the parents."""
        self._ranking.observe(event)
        if trial is None:
            return
        if isinstance(event, Proposed):
            self._visited.add(trial.params)
        elif trial.state.is_resting:
            self._rank(trial)

    def _rank(self, trial: Trial) -> None:
        others = [parent for parent in self._parents if parent is not trial]
        if not self._ranking.has_result(trial):  # it may have failed after a pause
            self._parents = others
            self._best = None if self._best is trial else self._best
            return
        self._parents = self._ranking.ranked([*others, trial])[: self._options.population]
        if self._best is None or self._ranking.is_better(trial, self._best):
            self._best = trial
        if not any(parent is self._best for parent in self._parents):
            self._parents[-1] = self._best  # another bracket's trials may stand before it at an early epoch

    def _child(self, rng: np.random.Generator) -> dict[str, Value]:
        first = self._parents[self._winner(rng)]
        second = self._parents[self._winner(rng)] if rng.random() < self._options.crossover else first
        rate = self._options.mutation if self._options.mutation is not None else 1 / len(first.params)

        def choose(name: str, parameter: Parameter) -> Value:
            # A choice that only one parent made brings parameters that only this one has; a mutated one may bring some
            # that neither has.
            holders = [parent.params for parent in (first, second) if name in parent.params]
            if not holders:
                return parameter.value_at(float(rng.random()))
            value: Value = holders[int(rng.integers(len(holders)))][name]
            return _mutated(parameter, value, rng) if rng.random() < rate else value

        return self._space.params_by(choose)

    def _winner(self, rng: np.random.Generator) -> int:
        """The place of the best of a few parents, drawn with replacement."""
        return int(rng.integers(len(self._parents), size=self._options.tournament).min())


def _mutated(parameter: Parameter, value: Value, rng: np.random.Generator) -> Value:
    """Another value: any other choice, or a number at a distance of the range's half to its 512th, most often near."""
    if parameter.size == 1:
        return value
    if isinstance(parameter, Categorical):
        others = [choice for choice in parameter.choices if choice != value]
        return others[int(rng.integers(len(others)))]
    distance = 0.5 * 2.0 ** (-8 * rng.random())
    start, side = fraction_of(parameter, value), 1 if rng.random() < 0.5 else -1
    for step in (side * distance, -side * distance):
        if parameter.size is not None:
            step = np.sign(step) * max(abs(step), 1 / parameter.size)  # to the neighbour at least
        if 0 <= start + step < 1 and (moved := value_at(parameter, start + step)) != value:
            return moved
    return value_at(parameter, float(rng.random()))
