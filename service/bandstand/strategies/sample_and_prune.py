"""The common strategy: any sampler proposes, any pruner decides how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bandstand.strategies.failures.avoidance import FailureAvoidance
from bandstand.strategies.strategy import (
    ForeseeingSampler,
    Judgement,
    NotifyingSampler,
    PromotingPruner,
    Promotion,
    Proposal,
    Pruner,
    Retirement,
    Sampler,
    Situation,
    Step,
)
from bandstand.trials.events import Event
from bandstand.trials.history import Trial

__all__ = ["SampleAndPrune"]


class SampleAndPrune:
    """A `Strategy` of one sampler and one pruner, neither of which knows the other."""

    exhausted = "every point of the grid was visited"
    closed = None

    def __init__(self, sampler: Sampler, pruner: Pruner, avoidance: FailureAvoidance | None = None):
        """Sampler and pruner; `avoidance` looks at what the sampler proposes, None where nobody does."""
        self._sampler = sampler
        self._pruner = pruner
        self._avoidance = avoidance
        self._promoting = pruner if isinstance(pruner, PromotingPruner) else None  # asking a protocol takes time

    @property
    def foresees(self) -> bool:
        """As `ForeseeingStrategy.foresees`."""
        return self._pruner.foresees and isinstance(self._sampler, ForeseeingSampler)

    def foresee(self, situation: Situation) -> Proposal | None:
        """As `ForeseeingStrategy.foresee`; nothing once trials that failed decide what is proposed."""
        if self._avoidance is not None and self._avoidance.is_active:
            return None
        bracket = self._pruner.bracket(situation.number)
        return None if bracket is None else self._proposal(situation.number, bracket)

    def overtaking(self, situation: Situation) -> Promotion | Retirement | None:
        """As `ForeseeingStrategy.overtaking`: what has earned a promotion is worth more than any new trial."""
        return None if self._promoting is None else self._promoting.promotion(situation)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`: promote what has earned it, else try something new."""
        promotion = self.overtaking(situation)
        if promotion is not None or not situation.may_propose:
            return promotion
        bracket = self._pruner.bracket(situation.number)
        if bracket is None:
            return None
        proposal = self._proposal(situation.number, bracket)
        # Without one it is as if the budget had no room, so that the pruner may finish what it has.
        return proposal or self.overtaking(replace(situation, may_propose=False))

    def _proposal(self, number: int, bracket: int) -> Proposal | None:
        params = self._sampler.propose(number)
        if params is not None and self._avoidance is not None:
            params = self._avoidance.better(params, number)
        return None if params is None else Proposal(params=params, bracket=bracket)

    @property
    def avoids(self) -> bool:
        """As `AvoidingStrategy.avoids`."""
        return self._avoidance is not None

    def adopt(self, params: Mapping[str, Any], number: int) -> Proposal | None:
        """As `Strategy.adopt`: the pruner judges it like any other."""
        bracket = self._pruner.bracket(number)
        return None if bracket is None else Proposal(params=params, bracket=bracket)

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`."""
        return next(epoch for epoch in self._pruner.ask_epochs(trial.bracket) if epoch > after_epoch)

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`."""
        return self._pruner.judge(trial)

    def at_end(self, trial: Trial) -> Retirement:
        """As `Strategy.at_end`: it was not among those that went on."""
        return Retirement(trial=trial.number, reason=f"rung {trial.epochs}: not promoted before the study ended")

    def keeps(self, trial: Trial) -> bool:
        """As `Strategy.keeps`: no trial here has a parent."""
        return False

    def ask_epochs(self) -> tuple[int, ...]:
        """As `Strategy.ask_epochs`."""
        return self._pruner.ask_epochs()

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        self._sampler.observe(event, trial)
        if self._avoidance is not None:
            self._avoidance.observe(event, trial)
        self._pruner.observe(event, trial)

    def notices(self) -> list[str]:
        """As `Strategy.notices`."""
        own = self._sampler.notices() if isinstance(self._sampler, NotifyingSampler) else []
        return own + self._pruner.notices()
