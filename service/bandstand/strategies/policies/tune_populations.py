"""Populations whose members Ray Tune's own schedulers compare: PopulationBasedTraining and PB2.

Tune decides outside, and what it decided is recorded through `Search.allocation`. By itself such a policy only founds
the population and lets every member train on: nobody is pruned and nothing is explored. So it is a function of the
study's events like any other, and a study taken up after a crash has its members as they were; a fresh scheduler of
Tune's goes on with them. Must not know Ray.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import NeededExecutor
from bandstand.strategies.options import options_from
from bandstand.strategies.policies.explore import Factors, Resample, check_changeable, usually_changed
from bandstand.strategies.policies.population import Population, PopulationOptions, check_interval
from bandstand.strategies.strategy import Promotion, Situation, Step
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical

__all__ = ["TunePB2", "TunePB2Options", "TunePBT", "TunePBTOptions"]


class TunePB2Options(PopulationOptions):
    """Options of sampler tune-pb2."""

    fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of members that are replaced, and share of members that replace them (`quantile_fraction` of Ray Tune)."""
    synchronous: bool = False
    """Whether members wait until all have reached the same epoch before they are compared (`synch` of Ray Tune)."""


class TunePBTOptions(TunePB2Options):
    """Options of sampler tune-pbt."""

    resample: Resample = 0.25
    """Probability that a parameter that changes is drawn anew from its range (`resample_probability` of Ray Tune)."""
    factors: Factors = (0.8, 1.2)
    """Two factors, one below and one above 1. A number that changes is multiplied by one of them
    (`perturbation_factors` of Ray Tune)."""


class TunePB2(Population):
    """The population of Tune's PB2 (Parker-Holder et al., Population Based Bandits, 2020, arXiv 2002.02518)."""

    summary: ClassVar[str] = 'PB2 of Ray Tune, recorded as lineages. It needs `executor = "tune"`.'
    name: ClassVar[str] = "tune-pb2"
    options: ClassVar[type[TunePB2Options]] = TunePB2Options
    needed_executor: ClassVar[NeededExecutor | None] = NeededExecutor("tune", "whose members Ray Tune compares", "pbt")
    exhausted = "the population is trained"

    def __init__(self, spec: Problem):
        self.tune_options = options_from(f"sampler {self.name}", self.options, spec.sampler_options)
        super().__init__(spec, self.tune_options)
        self._before: dict[int, Trial] = {}  # slot -> the trial that was in it before the one that is

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options = options_from(f"sampler {cls.name}", cls.options, spec.sampler_options)
        check_interval(options.interval, spec, cls.name)
        check_changeable(spec.space, options.explore or (), f"option explore of sampler {cls.name}")
        changing = cls.changing(spec)
        for name in changing:
            cls._check_changing(spec, name)
        if not changing:
            raise ValueError(
                f"sampler {cls.name} needs a parameter that can change during training; by default the space has none: "
                "name one in option explore"
            )

    @classmethod
    def _check_changing(cls, spec: Problem, name: str) -> None:
        """Refuse a parameter that Tune could not change.

        Raises:
            ValueError: one line.
        """
        if name not in spec.space.parameters:
            raise ValueError(
                f"option explore of sampler {cls.name} must name parameters that are always active, because the "
                f"schedulers of Ray Tune have no conditions; got {name!r}: name others in option explore"
            )
        if cls is TunePB2 and isinstance(spec.space.parameters[name], Categorical):
            raise ValueError(
                f"option explore of sampler {cls.name} must name numbers, which its Gaussian process needs; "
                f"got {name!r}: name others in option explore, or use tune-pbt"
            )

    @classmethod
    def changing(cls, spec: Problem) -> tuple[str, ...]:
        """The parameters that Tune changes when a member is cloned."""
        options = options_from(f"sampler {cls.name}", cls.options, spec.sampler_options)
        if options.explore is not None:
            return options.explore
        return tuple(
            name
            for name in usually_changed(spec.space, spec.batch_size)
            if name in spec.space.parameters
            and not (cls is TunePB2 and isinstance(spec.space.parameters[name], Categorical))
        )

    @classmethod
    def make(cls, spec: Problem) -> TunePB2:
        """As `Policy.make`."""
        return cls(spec)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`: found the population; who is paused trains on."""
        member = self._new_member(situation)
        if member is not None or not self._paused:
            return member
        slot, trial = self._least_trained()
        return Promotion(trial=trial.number, reason=self._words(slot, "trains on"))

    def keeps(self, trial: Trial) -> bool:
        """As `Strategy.keeps`: Tune may clone a member that has ended since it was compared.

        It compares a member again only after an interval's training, so not with what it was two trials ago.
        """
        slot = trial.bracket
        return trial.has_own_checkpoint and (trial is self._members[slot] or trial is self._before.get(slot))

    def _enter(self, slot: int, trial: Trial) -> None:
        if slot < len(self._members):
            self._before[slot] = self._members[slot]
        super()._enter(slot, trial)


class TunePBT(TunePB2):
    """The population of Tune's PopulationBasedTraining."""

    summary: ClassVar[str] = 'PopulationBasedTraining of Ray Tune, recorded as lineages. It needs `executor = "tune"`.'
    name: ClassVar[str] = "tune-pbt"
    options: ClassVar[type[TunePB2Options]] = TunePBTOptions

    @classmethod
    def make(cls, spec: Problem) -> TunePBT:
        """As `Policy.make`."""
        return cls(spec)
