"""Random search: every trial drawn independently from the space."""

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

__all__ = ["RandomSampler"]


class RandomSampler(SamplerFacts):
    """Draws each parameter uniformly, log-uniformly where the space says log (Bergstra and Bengio, JMLR 13, 2012)."""

    summary: ClassVar[str] = "Draws each trial independently from the space."
    foresees: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, seed: int):
        self._space = space
        self._seed = seed

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler random", Options, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> RandomSampler:
        """As `Sampler.make`."""
        return cls(spec.space, spec.seed)

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        return self._space.sample(generator_for(self._seed, number, "propose"))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Nothing to learn."""
