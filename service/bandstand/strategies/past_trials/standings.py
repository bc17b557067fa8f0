"""The best trial, and how far two are apart, by values at one rung; `ranking` orders trials across epochs instead.

For samplers that follow one best trial, and need losses that are comparable. Must not know what is done with them.

As in BOHB (Falkner et al., ICML 2018) and in `study_in_memory`, trials are compared at the largest rung that enough
of them have reached, at least one more than there are parameters. Trials stopped below it are out of the comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from bandstand.problem.problem import Problem
from bandstand.trials.best import by_loss
from bandstand.trials.events import Ended, Event, Measured, TrialState
from bandstand.trials.history import Trial

__all__ = ["Standings"]


class Standings:
    """The losses of a study's trials at each rung; smaller is better, whatever the objective's direction.

    A trial that its own early stopping ended stands at later rungs with its last value; a failed one stands nowhere.
    """

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...]):
        """No trial yet; `ask_epochs` are where trials may be compared, ascending, the last one completes them."""
        self._sign = spec.objective.sign
        self._enough = len(spec.space.flat()) + 1
        self._rungs: dict[int, dict[int, float]] = {epoch: {} for epoch in ask_epochs}

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Follow the trials."""
        if trial is None:
            return
        if isinstance(event, Measured) and event.epoch in self._rungs and isfinite(trial.values[-1]):
            self._rungs[event.epoch][trial.number] = self._sign * trial.values[-1]
        elif isinstance(event, Ended) and event.state is TrialState.FAILED:
            for losses in self._rungs.values():
                losses.pop(trial.number, None)
        elif isinstance(event, Ended) and event.reason == "early_stopping" and isfinite(trial.values[-1]):
            for epoch, losses in self._rungs.items():
                if epoch > trial.epochs:
                    losses[trial.number] = self._sign * trial.values[-1]

    def best(self, among: Iterable[int] | None = None) -> int | None:
        """The number of the best trial; of equal ones the earlier.

        Args:
            among: consider these trials only. They are compared at the largest rung, up to the one at which the study
                compares, that any of them has reached.

        Returns:
            None while no trial has a value at a rung.
        """
        for losses in self._usable():
            found = (trial for trial in (losses if among is None else among) if trial in losses)
            first = min((by_loss(losses[trial], trial) for trial in found), default=None)
            if first is not None:
                return first.number
        return None

    def gap(self, trial: int, other: int) -> float | None:
        """How far two trials' losses are apart at the largest usable rung that both have reached; None if at none."""
        for losses in self._usable():
            if trial in losses and other in losses:
                return abs(losses[trial] - losses[other])
        return None

    @property
    def rung(self) -> int:
        """The epoch of the rung of comparison: no other is above it that enough trials have reached."""
        rungs = list(self._rungs)
        while len(rungs) > 1 and len(self._rungs[rungs[-1]]) < self._enough:
            rungs.pop()
        return rungs[-1]

    def _usable(self) -> list[dict[int, float]]:
        """The losses by trial at the rung of comparison and at those below it, from the top down."""
        top = self.rung
        return [losses for epoch, losses in reversed(self._rungs.items()) if epoch <= top]
