"""At which epoch comparing trials begins to tell who will be good: chosen by what the study's own trials show.

Knows values at rungs. Must not know who goes on.

No fixed first rung is safe. Measured with random sampling (mean normalized regret, 32 workers): a first rung at epoch 1
had .21 on LCBench, where the first epoch hardly ranks trials, and .08 on TaskSet; at epoch 3 .11 and .10.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from bandstand.problem.problem import Problem
from bandstand.trials.events import Event, Measured
from bandstand.trials.history import Trial

__all__ = ["FirstRung", "rank_correlation"]

_ENOUGH = 8
"""Pairs of values before a correlation counts."""
_TELLS = 0.7
"""The rank correlation with the next rung from which on a rung is worth judging at.

Of 8 pairs that have nothing to do with one another one in six shows .4 or more, 3 in 100 .7. What it is in truth was
.9 and more for epoch 1 on TaskSet, .5 and less on LCBench, where on some tasks none of the best twentieth are among the
best third by then. With .4 the default was worse than random search on one of them, lcbench:146212.
"""
_HEDGE = 8
"""One trial in so many starts at the next higher rung than the chosen one, so that the choice can still be mended."""


class FirstRung:
    """Chooses for each new trial the rung at which it is judged first.

    A rung tells where the ranks of the trials at it agree with their ranks at the next one. That is known from trials
    that were not judged at the lower of the two, because those that were are a selection. The first trials therefore
    start at the second rung; once enough have reached it, new ones start at the lowest rung that tells. One in a few
    starts a rung higher all the same.
    """

    def __init__(self, spec: Problem, rungs: tuple[int, ...], factor: int):
        """No trial yet.

        Args:
            spec: the study.
            rungs: epochs, ascending; the last completes a trial.
            factor: η; a first rung within η of the end would hardly differ from training everything.
        """
        self._sign = spec.objective.sign
        usable = [index for index, epoch in enumerate(rungs[:-1]) if epoch * factor <= spec.max_epochs]
        self.starts: int = max(1, min(3, len(usable)))
        """How many of the rungs may be a trial's first."""
        self._rungs = rungs
        self._pairs: list[list[tuple[float, float]]] = [[] for _ in range(self.starts - 1)]
        self._tells: list[tuple[int, bool]] = [(0, False) for _ in self._pairs]
        """For each rung, how many of its pairs were looked at, and whether they say that it tells."""

    def start_of(self, number: int) -> int:
        """The index of the rung at which a new trial is judged first."""
        hedge = number % _HEDGE == _HEDGE - 1
        return min(self._lowest_that_tells() + hedge, self.starts - 1)

    def _lowest_that_tells(self) -> int:
        start = min(1, self.starts - 1)
        for index, pairs in enumerate(self._pairs):
            if len(pairs) < _ENOUGH:
                break
            start = index
            if self._rung_tells(index, pairs):
                break
            start = index + 1
        return start

    def _rung_tells(self, index: int, pairs: list[tuple[float, float]]) -> bool:
        """By all pairs but the latest few, so that a correlation is computed for one in so many of them only."""
        among = len(pairs) - len(pairs) % (1 << max(0, len(pairs).bit_length() - 5))
        if self._tells[index][0] != among:
            self._tells[index] = (among, rank_correlation(pairs[:among]) >= _TELLS)
        return self._tells[index][1]

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Note the values of a trial that has come to the rung above one at which it was not judged."""
        if not isinstance(event, Measured) or trial is None or not isfinite(trial.values[-1]):
            return
        for index in range(self.starts - 1):
            low, high = self._rungs[index : index + 2]
            if event.epoch == high and trial.bracket > index and isfinite(trial.value_at(low)):
                self._pairs[index].append((self._sign * trial.value_at(low), self._sign * trial.values[-1]))


def rank_correlation(pairs: list[tuple[float, float]]) -> float:
    """Spearman's, with middle ranks for ties; 0 where all of one side are equal."""
    first, second = (_ranks(np.array(side)) for side in zip(*pairs, strict=True))
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middles = ends - (counts - 1) / 2
    return middles[places]
