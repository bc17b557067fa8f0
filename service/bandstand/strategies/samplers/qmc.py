"""Quasi-random search: the points of a scrambled Sobol sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Event
from bandstand.trials.history import Trial
from bandstand_spaces import SearchSpace

__all__ = ["QMCSampler"]

MAX_POINTS = 2**30
"""Points of the sequence; where a study has more, they begin again."""


class QMCSampler(SamplerFacts):
    """Spreads trials more evenly than chance: a Sobol sequence, scrambled by the seed (Owen, J. Complexity 14, 1998).

    Trial n has point n, whatever became of the others. Every parameter of the space has a coordinate of its own; those
    of parameters that are inactive under the choices made are dropped.
    """

    summary: ClassVar[str] = "Draws scrambled Sobol points, which cover the space more evenly than random points."
    foresees: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, seed: int):
        self._flat = space.flat()
        self._seed = int(generator_for(seed, 0, "order").integers(2**32 - 1))
        self._start()

    def _start(self) -> None:
        from scipy.stats import qmc

        self._sequence = qmc.Sobol(len(self._flat), scramble=True, rng=self._seed)
        self._position = 0

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler qmc", Options, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> QMCSampler:
        """As `Sampler.make`."""
        return cls(spec.space, spec.seed)

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        params: dict[str, Any] = {}
        for (name, parameter, condition), u in zip(self._flat, self._point(number % MAX_POINTS), strict=True):
            if all(parent in params and params[parent] == choice for parent, choice in condition):
                params[name] = parameter.value_at(float(u))
        return params

    def _point(self, index: int) -> Any:
        """Coordinates in [0, 1). The sequence's position is only a cache: drawing in order costs no skipping."""
        if index < self._position:
            self._start()
        if index > self._position:
            self._sequence.fast_forward(index - self._position)
        self._position = index + 1
        return self._sequence.random(1)[0]

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Nothing to learn."""
