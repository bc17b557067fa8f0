"""The best trials of a study at one rung, in order; `standings` knows the single best, `ranking` orders all trials.

For samplers that draw from several good trials. Must not know what is drawn from them.

As in BOHB (Falkner et al., ICML 2018), trials are compared at the largest rung that enough of them have reached, at
least one more than there are parameters: values of different epochs are not comparable, and a later rung says more.
And at least twice as many as there are elites, for these should be a selection.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from itertools import islice
from math import ceil, isfinite
from typing import Any

from bandstand.problem.problem import Problem
from bandstand.strategies.randomness import Key, key_with_coin
from bandstand.trials.events import Ended, Event, Measured, TrialState
from bandstand.trials.history import Trial

__all__ = ["Elites"]


class Elites:
    """The trials of each rung by their loss there; smaller is better, whatever the objective's direction.

    A trial that its own early stopping ended stands at later rungs with its last value; a failed one stands nowhere.
    """

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...], *, share: float, least: int, most: int):
        """No trial yet.

        Args:
            spec: the study.
            ask_epochs: where its trials may be compared, ascending; the last one completes them.
            share: of the trials at the rung, how many are the best.
            least: never fewer than so many.
            most: never more, so that a long study still becomes finer.
        """
        self._seed = spec.seed
        self._sign = spec.objective.sign
        self._share, self._least, self._most = share, least, most
        self._enough = max(len(spec.space.flat()) + 1, 2 * least)
        self._rungs: dict[int, list[Key]] = {epoch: [] for epoch in ask_epochs}
        self._params: dict[int, Mapping[str, Any]] = {}

    def best(self) -> list[Mapping[str, Any]]:
        """The params of the best trials at the rung of comparison, the best first; empty before any rung counts."""
        for places in reversed(self._rungs.values()):
            if len(places) >= self._enough:
                count = min(max(self._least, ceil(self._share * len(places))), self._most)
                return [self._params[number] for *_, number in islice(places, count)]
        return []

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Follow the trials."""
        if trial is None:
            return
        if isinstance(event, Measured) and event.epoch in self._rungs:
            self._enter(trial, event.epoch)
        elif isinstance(event, Ended) and event.state is TrialState.FAILED:
            self._leave(trial)
        elif isinstance(event, Ended) and event.reason == "early_stopping":
            for epoch in self._rungs:
                if epoch > trial.epochs:
                    self._enter(trial, epoch)

    def _enter(self, trial: Trial, epoch: int) -> None:
        if trial.values and isfinite(trial.values[-1]):
            self._params[trial.number] = trial.params
            insort(self._rungs[epoch], self._place(trial, trial.values[-1]))

    def _leave(self, trial: Trial) -> None:
        for epoch, places in self._rungs.items():
            if epoch <= trial.epochs and isfinite(trial.value_at(epoch)):
                del places[bisect_left(places, self._place(trial, trial.value_at(epoch)))]

    def _place(self, trial: Trial, value: float) -> Key:
        return key_with_coin(self._sign * value, self._seed, trial.number)
