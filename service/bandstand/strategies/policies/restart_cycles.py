"""The cycles of a study of restarts: how long each is, with which learning rates, and what it goes on from.

Knows one configuration at a time. Must not know which one the next cycle goes to: the bandit decides that.
"""

from __future__ import annotations

from typing import Any

from bandstand.learning_rates import Cycle, Reset, rates
from bandstand.problem.problem import Problem
from bandstand.strategies.policies.restart_bandit import BanditArm
from bandstand.strategies.policies.restart_options import RestartOptions, cycle_lengths
from bandstand.strategies.randomness import generator_for
from bandstand.strategies.strategy import Promotion, Proposal, Retirement, Step
from bandstand.trials.events import TrialState
from bandstand.trials.history import Trial
from bandstand_spaces import Float

__all__ = ["Cycles"]


class Cycles:
    """The cycles of one study.

    Attributes:
        lengths: epochs of each cycle of a configuration.
        combines: whether the study's model may be made of the ends of several cycles.
    """

    def __init__(self, spec: Problem, options: RestartOptions):
        self._spec = spec
        self._options = options
        self.combines = options.result != "best"
        self.lengths = cycle_lengths(options, spec.max_epochs)

    def ends(self) -> tuple[int, ...]:
        """The epochs at which cycles end where each goes on from the one before; the last is max_epochs."""
        ends, epoch = [], 0
        for length in self.lengths:
            epoch += length
            ends.append(epoch)
        return tuple(dict.fromkeys([*(end for end in ends if end < self._spec.max_epochs), self._spec.max_epochs]))

    def affordable(self, configurations: int) -> int:
        """Cycles that the budget has, about."""
        most = configurations * len(self.lengths)
        if self._spec.budget.epochs is None:
            return most
        return min(most, self._spec.budget.epochs * len(self.lengths) // sum(self.lengths))

    def make(self, slot: int, params: dict[str, Any], index: int, **lineage: Any) -> Proposal:
        """A trial that is cycle `index`, counted from 0, of a configuration."""
        options = self._options
        cycle = Cycle(
            shape=options.schedule,
            initial=params[options.parameter],
            epochs=self.lengths[index],
            warmup_epochs=min(options.warmup_epochs, self.lengths[index] - 1),
            decay=options.decay,
            factor=options.factor,
            every_epochs=options.every_epochs,
            final_fraction=options.final_fraction,
        )
        return Proposal(params=params, bracket=slot, learning_rates=rates(cycle), **lineage)

    def restart(self, arm: BanditArm, number: int) -> Proposal:
        """The next cycle of a configuration."""
        options, index = self._options, len(arm.cycles)
        rate = self._rate(arm, index, number)
        params = dict(arm.root.params) | {options.parameter: rate}
        if options.weights == "fresh" or arm.base is None or not arm.base.has_own_checkpoint:
            parent, from_epoch, source = arm.cycles[-1].number, 0, "new random weights"
        else:
            parent, from_epoch = arm.base.number, arm.base.checkpoint_epoch
            source = f"the {options.weights} weights of trial {parent}"
        return self.make(
            arm.root.bracket,
            params,
            index,
            parent=parent,
            from_epoch=from_epoch,
            weights="best" if options.weights == "best" else "last",
            origin=f"cycle {index + 1} of trial {arm.root.number}: {source}, {options.parameter} {rate:.4g}",
        )

    def _rate(self, arm: BanditArm, restart: int, number: int) -> float:
        options = self._options
        parameter = self._spec.space.parameters[options.parameter]
        assert isinstance(parameter, Float)
        if options.restart == "random":
            draw = generator_for(self._spec.seed, number, "restart").random()
            return parameter.value_at(float(draw))
        reset = Reset(to=options.restart, factor=options.factor)
        return max(parameter.low, reset.rate_after(restart, arm.root.params[options.parameter]))

    def end_of(self, trial: Trial) -> int:
        """The last epoch of a cycle."""
        return min(trial.from_epoch + max(1, len(trial.learning_rates)), self._spec.max_epochs)

    def has_left_its_end(self, trial: Trial) -> bool:
        """Whether there is a checkpoint of the end of a cycle."""
        at_end = trial.checkpoint_epoch == trial.epochs == self.end_of(trial)
        return at_end and trial.state is not TrialState.FAILED

    def is_kept(self, trial: Trial) -> bool:
        """Whether the checkpoint of a cycle's end has been kept, though none was to go on from it."""
        return trial.has_own_checkpoint and self.combines and self.has_left_its_end(trial)

    def may_restart(self, arm: BanditArm) -> bool:
        """Whether there is a cycle left for a configuration, and something to begin it with."""
        if len(arm.cycles) >= len(self.lengths):
            return False
        fresh = self._options.weights == "fresh"
        return fresh or (arm.base is not None and arm.base.checkpoint_epoch < self._spec.max_epochs)

    def settled(self, arm: BanditArm, paused: Trial) -> Step | None:
        """What follows for the paused end of a cycle without any choice."""
        if paused.checkpoint_epoch < paused.epochs:
            return Promotion(trial=paused.number, reason="its last epoch has no usable checkpoint")
        if not self.may_restart(arm):
            return Retirement(trial=paused.number, reason=self.words(arm, paused, "its last"), completes=True)
        return None

    def words(self, arm: BanditArm, cycle: Trial, what: str) -> str:
        """For people: which cycle of how many a trial is, and what of it."""
        index = next(place for place, trial in enumerate(arm.cycles) if trial is cycle)
        return f"cycle {index + 1} of {len(self.lengths)}, {what}"
