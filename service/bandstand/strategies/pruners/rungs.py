"""Rungs: the epochs at which trials are compared, and the ranks of those that reached one.

Knows the geometry and the ranking. Must not know what a pruner does with a rank.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from bandstand.strategies.randomness import Key

__all__ = ["Rung", "WaitingRung", "rung_epochs"]


def rung_epochs(min_epochs: int, reduction_factor: int, max_epochs: int) -> tuple[int, ...]:
    """min_epochs·η^k below max_epochs, and max_epochs itself, which completes a trial.

    Epochs are counted from 1, as Li et al. count resource (Hyperband, JMLR 18, 2018, algorithm 1).
    """
    epochs = []
    epoch = min_epochs
    while epoch < max_epochs:
        epochs.append(epoch)
        epoch *= reduction_factor
    return (*epochs, max_epochs)


class Rung:
    """The losses of all trials that reached an epoch, in order. Ties are settled by a coin per trial.

    Why a coin: if equal values all passed, a metric that has not moved yet would stop nobody; if the earlier one
    always won, it would stop everybody who comes later.
    """

    def __init__(self) -> None:
        self._keys: list[Key] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: Key) -> None:
        """Record a trial; smaller losses rank first."""
        insort(self._keys, key)

    def rank(self, key: Key) -> int:
        """How many recorded trials are better than this one."""
        return bisect_left(self._keys, key)


class WaitingRung(Rung):
    """A rung at which trials pause until they go on or end."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Key] = []

    @property
    def best_waiting(self) -> Key | None:
        """The best of those that wait here."""
        return self._waiting[0] if self._waiting else None

    @property
    def worst_waiting(self) -> Key | None:
        """The worst of those that wait here; None where it is the best too."""
        return self._waiting[-1] if len(self._waiting) > 1 else None

    def wait(self, key: Key) -> None:
        """A recorded trial pauses here."""
        insort(self._waiting, key)

    def leave(self, key: Key) -> None:
        """A trial that may wait here does so no longer."""
        index = bisect_left(self._waiting, key)
        if index < len(self._waiting) and self._waiting[index] == key:
            del self._waiting[index]
