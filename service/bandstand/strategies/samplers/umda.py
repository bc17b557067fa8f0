"""The univariate marginal distribution algorithm: each parameter has the value of some good trial, or one nearby.

Why it is the default, with ASHA: no other sampler that was measured had a lower mean regret than random sampling, with
ASHA and 32 workers, on both sets of recorded learning curves; with 8 workers it has on one of them (tests/benchmarks).
A dozen or two settings known at a late epoch say which part of each parameter's range is good, and hardly more: a
sampler that follows how parameters depend on one another (tpe, or this one taking all of a trial's values from one
parent) proposed what is too close to what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.elites import Elites
from bandstand.strategies.points.fractions import fraction_of, value_at
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import explores, generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Float, Int, Parameter, Value

__all__ = ["UMDASampler"]

_LEAST, _MOST = 4, 20
"""Elites."""


class UMDAOptions(Options):
    """Options of sampler umda."""

    random_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability that a trial is drawn at random and not from the best trials (the elites)."""
    elite_fraction: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    """Share of the trials at a rung that are elites. There are at least 4 and at most 20 elites."""
    mutation: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Probability that a parameter is drawn anew from its whole range."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Standard deviation of a number around the value of an elite, as a fraction of the range on the parameter's
    scale."""


class UMDASampler(SamplerFacts):
    """Independent draws from the values that each parameter has among the best trials.

    The univariate marginal distribution algorithm (Mühlenbein and Paaß, From Recombination of Genes to the Estimation
    of Distributions, PPSN 1996), or gene pool recombination (Mühlenbein and Voigt, 1995): every parameter takes its
    value from an elite of its own, so that a child mixes many parents and is rarely near any one of them.

    The elites are the best third of those that have reached the largest rung with enough trials. Numbers are jittered
    on their own scale, as in a Parzen estimator of each parameter; what falls beyond an end of the range is the end,
    which random search all but never tries. Some are drawn anew. There are no generations: elites are those that stand
    by then, and no worker waits. Half of all trials are random, so that the search never needs more than twice the
    trials of random search, whatever early epochs or good settings mislead it to.
    """

    options: ClassVar[type[UMDAOptions]] = UMDAOptions
    summary: ClassVar[str] = (
        "Draws half of the trials at random, and each parameter of the others near its value in one of the best trials."
    )

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...]):
        self._options = options_from("sampler umda", UMDAOptions, spec.sampler_options)
        self._seed = spec.seed
        self._space = spec.space
        self._elites = Elites(spec, ask_epochs, share=self._options.elite_fraction, least=_LEAST, most=_MOST)
        self._visited = Visited(spec.space)

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler umda", UMDAOptions, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> UMDASampler:
        """As `Sampler.make`."""
        return cls(spec, ask_epochs)

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        rng = generator_for(self._seed, number, "propose")
        if not explores(self._seed, number, self._options.random_fraction):
            elites = self._elites.best()
            if elites:
                return self._visited.new_point(lambda: self._child(elites, rng))
        return self._visited.new_point(lambda: self._space.sample(rng))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Sampler.observe`."""
        self._elites.observe(event, trial)
        if isinstance(event, Proposed):
            self._visited.add(event.params)

    def _child(self, elites: list[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Value]:
        def choose(name: str, parameter: Parameter) -> Value:
            # A choice that was drawn anew may bring parameters that no elite has.
            values = [params[name] for params in elites if name in params]
            if not values or rng.random() < self._options.mutation:
                return parameter.value_at(float(rng.random()))
            value: Value = values[int(rng.integers(len(values)))]
            return value if isinstance(parameter, Categorical) else self._near(parameter, value, rng)

        return self._space.params_by(choose)

    def _near(self, parameter: Float | Int, value: Value, rng: np.random.Generator) -> Value:
        """What falls beyond an end of the range is the end: where elites lie near it, the best may be on it."""
        return value_at(parameter, fraction_of(parameter, value) + self._options.jitter * float(rng.normal()))
