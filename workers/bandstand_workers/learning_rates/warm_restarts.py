"""Warm restarts: the learning rate goes through cycles, epoch by epoch.

Knows Keras's callbacks. Must not know the formulas, which `bandstand.learning_rates` has.
"""

from __future__ import annotations

from typing import Any

import keras

from bandstand.learning_rates import Cycle, Reset, restart_cycles
from bandstand_workers.learning_rates.rate_variable import rate_variable

__all__ = ["WarmRestarts"]


class WarmRestarts(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """A Keras callback for warm restarts (SGDR: Loshchilov and Hutter, ICLR 2017, arXiv 1608.03983).

    The learning rate falls within a cycle and starts high again in the next one. The callback sets the rate at the
    start of every epoch, so no other callback should set it. The rate depends only on the epoch's number: with
    `initial_epoch`, or when Bandstand resumes a trial, training continues within its cycle. After the last cycle the
    rate stays at the end of that cycle. A restart does not change the weights or the state of the optimizer.

    The optimizer must have a number as its learning rate, not a schedule; otherwise training raises `ValueError` when
    it begins.

    Example:
        >>> from bandstand.learning_rates import Cycle, Reset
        >>> from bandstand_workers import WarmRestarts
        >>> first = Cycle(shape="linear", initial=0.1, epochs=4)
        >>> callback = WarmRestarts(first, restarts=2, multiplier=2, reset=Reset(to="decayed"))
        >>> [cycle.epochs for cycle in callback.cycles]
        [4, 8, 16]
        >>> callback.rate_at(4)
        0.05
    """

    def __init__(self, cycle: Cycle, *, restarts: int, multiplier: float = 1.0, reset: Reset | None = None):
        """Plan the cycles.

        Args:
            cycle: the first cycle.
            restarts: number of cycles after the first, at least 0.
            multiplier: length of a cycle divided by the length of the cycle before it (T_mult of SGDR), at least 1.
            reset: rule for the rate at the start of a new cycle. Default: the rate of the first cycle.

        Raises:
            ValueError: an argument is out of its range, or the last cycle is too long, as in `restart_cycles`.
        """
        super().__init__()
        self.cycles: list[Cycle] = restart_cycles(cycle, restarts=restarts, multiplier=multiplier, reset=reset)

    def rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch, which is counted from 0 as in Keras."""
        last = self.cycles[-1]
        for cycle in self.cycles:
            if epoch < cycle.epochs or cycle is last:
                break
            epoch -= cycle.epochs
        return cycle.rate_at(min(epoch, cycle.epochs))

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuse an optimizer whose rate cannot be set.

        Raises:
            ValueError: its rate is a schedule.
        """
        rate_variable(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the epoch's rate."""
        rate_variable(self.model).assign(self.rate_at(epoch))
