"""Rungs: the epochs at which trials are compared, and the ranks of those that reached one.

Knows the geometry and the ranking. Must not know what a pruner does with a rank.
"""

from __future__ import annotations

from bisect import bisect_left, insort

__all__ = ["Rung", "rung_epochs"]


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
        self._keys: list[tuple[float, float, int]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, loss: float, coin: float, trial: int) -> None:
        """Record a trial; smaller losses rank first."""
        insort(self._keys, (loss, coin, trial))

    def rank(self, loss: float, coin: float, trial: int) -> int:
        """How many recorded trials are better than this one."""
        return bisect_left(self._keys, (loss, coin, trial))
