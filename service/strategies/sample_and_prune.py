"""The common strategy: any sampler proposes, any pruner decides how long."""

from __future__ import annotations

from service.events import Event
from service.history import Trial
from service.strategies.strategy import Judgement, Proposal, Pruner, Sampler

__all__ = ["SampleAndPrune"]


class SampleAndPrune:
    """A `Strategy` of one sampler and one pruner, neither of which knows the other."""

    def __init__(self, sampler: Sampler, pruner: Pruner):
        self._sampler = sampler
        self._pruner = pruner

    def propose(self, number: int) -> Proposal | None:
        """As `Strategy.propose`."""
        params = self._sampler.propose(number)
        return None if params is None else Proposal(params=params, bracket=self._pruner.bracket(number))

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`."""
        return next(epoch for epoch in self._pruner.ask_epochs(trial.bracket) if epoch > after_epoch)

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`."""
        return self._pruner.judge(trial)

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        self._sampler.observe(event, trial)
        self._pruner.observe(event, trial)

    def notices(self) -> list[str]:
        """As `Strategy.notices`."""
        return self._pruner.notices()
