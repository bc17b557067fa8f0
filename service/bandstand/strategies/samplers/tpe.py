"""TPE by Optuna, fitted on values of one and the same epoch.

Measured on 12 LCBench tasks, mean normalized regret: without a pruner TPE beats random sampling (.11 against .23); with
ASHA or Hyperband it does not, and with a first rung at epoch 1 it is worse (.39 against .27).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.study_in_memory import StudyInMemory
from bandstand.trials.events import Event
from bandstand.trials.history import Trial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


__all__ = ["TPEOptions", "TPESampler"]


class TPEOptions(Options):
    """Options of sampler tpe."""

    startup_trials: Annotated[int, Field(ge=1)] = 10
    """Number of random trials before the model proposes any."""
    ei_candidates: Annotated[int, Field(ge=1)] = 24
    """Number of candidates that are drawn for each proposal. The best of them is proposed."""
    most_trials: Annotated[int, Field(ge=100)] = 500
    """Most trials that the model is fitted to. If there are more, a quarter of them are the best trials, and the others
    are the latest of the rest."""


class TPESampler(SamplerFacts):
    """Optuna's TPE: multivariate, grouped for conditional spaces, running trials counted in as bad."""

    options: ClassVar[type[TPEOptions]] = TPEOptions
    summary: ClassVar[str] = "Proposes by a tree-structured Parzen estimator (Optuna's TPE), which is fitted per rung."

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...]):
        self._options = options_from("sampler tpe", TPEOptions, spec.sampler_options)
        self._study = StudyInMemory(spec, ask_epochs, self._options.startup_trials, self._options.most_trials)

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler tpe", TPEOptions, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> TPESampler:
        """As `Sampler.make`."""
        return cls(spec, ask_epochs)

    @classmethod
    def draws_at_random_first(cls, spec: Problem) -> int:
        """As `SamplerFacts.draws_at_random_first`."""
        return options_from("sampler tpe", TPEOptions, spec.sampler_options).startup_trials

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        return self._study.propose(number, self._make_sampler)

    def _make_sampler(self, seed: int) -> BaseSampler:
        import optuna

        return optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            group=True,
            constant_liar=True,
            n_startup_trials=self._options.startup_trials,
            n_ei_candidates=self._options.ei_candidates,
        )

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Sampler.observe`."""
        self._study.observe(event, trial)
