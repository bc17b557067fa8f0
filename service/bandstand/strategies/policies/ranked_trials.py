"""Members of a population in order of what they have reached.

Knows trials and their latest values. Must not know what a place entitles to.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from bandstand.strategies.randomness import Key, key_with_coin
from bandstand.trials.history import Trial

__all__ = ["RankedTrials"]


class RankedTrials:
    """Trials by their latest value, the best at place 0; kept in order, so that to look up a place sorts nothing."""

    def __init__(self, sign: float, seed: int):
        """`sign` turns an objective's value into a loss, `seed` is the study's."""
        self._sign, self._seed = sign, seed
        self._order: list[Key] = []
        self._trials: dict[int, tuple[Key, Trial]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> Trial:
        return self._trials[self._order[place][2]][1]

    def put(self, trial: Trial) -> None:
        """To where its latest value, which must be finite, belongs."""
        key = key_with_coin(self._sign * trial.values[-1], self._seed, trial.number)
        before = self._trials.get(trial.number)
        if before is None or before[0] != key:
            self.discard(trial)
            insort(self._order, key)
            self._trials[trial.number] = key, trial

    def discard(self, trial: Trial) -> None:
        """Leave it out, if it is in here."""
        if trial.number in self._trials:
            key, _ = self._trials.pop(trial.number)
            del self._order[bisect_left(self._order, key)]

    def clear(self) -> None:
        """Leave out everybody."""
        self._order.clear()
        self._trials.clear()

    def of(self, trial: Trial) -> int | None:
        """The place of a trial; None if it is not in here."""
        found = self._trials.get(trial.number)
        return None if found is None else bisect_left(self._order, found[0])
