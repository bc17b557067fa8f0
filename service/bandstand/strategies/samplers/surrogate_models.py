"""Bayesian optimization by scikit-optimize's models, fitted on values of one and the same epoch.

The samplers differ in their model and its options. `bandstand.optuna_samplers` proposes, `StudyInMemory` says from
what.

Measured at 60 evaluations without rungs, median regret of 20 seeds. Branin: gp .0003, TPE .17, random .53. Hartmann in
six dimensions: gp .008, TPE .30, random 1.68. Rosenbrock in four: gp 4.7, TPE 7.5, random 42; forest 51 and extra_trees
88, of 8 seeds, are no better than chance there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from bandstand import optuna_samplers
from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.study_in_memory import StudyInMemory
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import explores, generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.history import Trial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["ExtraTreesSampler", "ForestSampler", "GBRTSampler", "GPSampler"]


_SHOWN = 4
"""Times `fit_trials` that are shown to a sampler, a quarter the best, so that it finds those it fits its model to."""


class SurrogateOptions(Options):
    """Options of the samplers gp, forest, extra_trees and gbrt."""

    acquisition: Literal["EI", "PI", "LCB", "EIps", "gp_hedge"] = "EI"
    """Function that rates a candidate. `EI`: expected improvement. `PI`: probability of an improvement. `LCB`: lower
    confidence bound. `EIps`: expected improvement per second of training. `gp_hedge`: chooses among EI, PI and LCB."""
    startup_trials: Annotated[int, Field(ge=1)] = 10
    """Number of random trials before the model proposes any."""
    random_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that a later trial is random, too. This helps when the values of early epochs mislead the model."""
    xi: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Smallest improvement that EI and PI count, in standard deviations of the values seen."""
    kappa: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.96
    """Number of standard deviations below the mean at which LCB looks. A larger number explores more."""
    fit_trials: Annotated[int, Field(ge=4)] = 100
    """Most trials that the model is fitted to. If there are more, half of them are the best trials, and the other half
    are the latest of the rest."""
    candidates: Annotated[int, Field(ge=10)] = 1000
    """Number of points at which the acquisition function is computed for each proposal."""


class GPOptions(SurrogateOptions):
    """Options of sampler gp."""

    hyperparameter_draws: Annotated[int, Field(ge=0)] = 0
    """Number of draws of the kernel's hyperparameters that the acquisition function is averaged over, as in Spearmint.
    With 0, the most likely hyperparameters are used."""
    restarts: Annotated[int, Field(ge=0)] = 2
    """Number of additional starts of the search for the most likely hyperparameters."""


class TreeOptions(SurrogateOptions):
    """Options of the samplers forest and extra_trees."""

    acquisition: Literal["EI", "PI", "LCB", "EIps"] = "EI"
    """Function that rates a candidate. `EI`: expected improvement. `PI`: probability of an improvement. `LCB`: lower
    confidence bound. `EIps`: expected improvement per second of training."""
    trees: Annotated[int, Field(ge=1)] = 100
    """Number of trees in the forest."""


class BoostingOptions(SurrogateOptions):
    """Options of sampler gbrt."""

    acquisition: Literal["EI", "PI", "LCB", "EIps"] = "EI"
    """Function that rates a candidate. `EI`: expected improvement. `PI`: probability of an improvement. `LCB`: lower
    confidence bound. `EIps`: expected improvement per second of training."""
    trees: Annotated[int, Field(ge=1)] = 30
    """Number of boosting stages for each of the three quantiles."""


class _SurrogateSampler(SamplerFacts):
    """Everything but the model."""

    summary: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[type[SurrogateOptions]]

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...]):
        self._options = options_from(f"sampler {self.name}", self.options, spec.sampler_options)
        most = max(_SHOWN * self._options.fit_trials, self._options.startup_trials)
        self._study = StudyInMemory(spec, ask_epochs, self._options.startup_trials, most)
        self._space = spec.space
        self._distributions = spec.space.distributions()
        self._proposed: list[Mapping[str, Any]] = []  # not yet among the known
        self._known: optuna_samplers.Visited | None = None  # as the models see it, made once scikit-learn is needed
        self._conditions = {name: condition for name, _, condition in spec.space.flat()}
        self._seed = spec.seed
        self._visited = Visited(spec.space)

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from(f"sampler {cls.name}", cls.options, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> _SurrogateSampler:
        """As `Sampler.make`."""
        return cls(spec, ask_epochs)

    @classmethod
    def draws_at_random_first(cls, spec: Problem) -> int:
        """As `SamplerFacts.draws_at_random_first`."""
        return options_from(f"sampler {cls.name}", cls.options, spec.sampler_options).startup_trials

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        if explores(self._seed, number, self._options.random_fraction):
            rng = generator_for(self._seed, number, "propose")
            return self._visited.new_point(lambda: self._space.sample(rng))
        return self._study.propose(number, self._make_sampler)

    def _make_sampler(self, seed: int) -> BaseSampler:
        if self._known is None:
            box = optuna_samplers.Box(self._distributions, self._conditions)
            self._known = optuna_samplers.Visited((), box)
        for params in self._proposed:
            self._known.add(params)
        self._proposed.clear()
        seconds = self._study.seconds
        return optuna_samplers.SkoptSampler(
            self.name,
            space=self._distributions,
            conditions=self._conditions,
            seconds_of=lambda trial: seconds.get(trial.number),
            visited=self._known,
            seed=seed,
            **self._options.model_dump(exclude={"random_fraction"}),
        )

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Sampler.observe`."""
        if isinstance(event, Proposed):
            self._proposed.append(event.params)
            self._visited.add(event.params)
        self._study.observe(event, trial)


class GPSampler(_SurrogateSampler):
    """A Gaussian process with a Matérn 5/2 kernel, a length scale for each parameter, and noise."""

    summary: ClassVar[str] = (
        "Proposes by a Gaussian process and expected improvement (scikit-optimize), fitted per rung."
    )
    name: ClassVar[str] = "gp"
    options: ClassVar[type[SurrogateOptions]] = GPOptions

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options = options_from("sampler gp", GPOptions, spec.sampler_options)
        if options.hyperparameter_draws and options.acquisition not in ("EI", "PI", "LCB"):
            raise ValueError(
                "option hyperparameter_draws of sampler gp needs acquisition EI, PI or LCB; "
                f"got {options.acquisition}: leave one of them out"
            )


class ForestSampler(_SurrogateSampler):
    """A random forest; uncertain where its trees disagree, and within their leaves (Hutter et al., 2011, SMAC)."""

    summary: ClassVar[str] = "Proposes by a random forest and expected improvement (scikit-optimize), fitted per rung."
    name: ClassVar[str] = "forest"
    options: ClassVar[type[SurrogateOptions]] = TreeOptions


class ExtraTreesSampler(_SurrogateSampler):
    """A forest whose trees split at random thresholds, smoother than a random forest."""

    summary: ClassVar[str] = (
        "Proposes by extremely randomized trees and expected improvement (scikit-optimize), fitted per rung."
    )
    name: ClassVar[str] = "extra_trees"
    options: ClassVar[type[SurrogateOptions]] = TreeOptions


class GBRTSampler(_SurrogateSampler):
    """Boosted trees for the quantiles .16, .5 and .84, which stand for the mean and a standard deviation around it."""

    summary: ClassVar[str] = (
        "Proposes by gradient-boosted quantiles and expected improvement (scikit-optimize), fitted per rung."
    )
    name: ClassVar[str] = "gbrt"
    options: ClassVar[type[SurrogateOptions]] = BoostingOptions
