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
    """SGDR (Loshchilov & Hutter 2017): cycles of a falling rate, each beginning with a high one again.

    The rate of an epoch is that of its start, and depends on the epoch's number alone: with `initial_epoch`, or when
    Bandstand resumes a trial, training goes on in mid-cycle. After the last cycle the rate stays with its end. Weights
    and the optimizer's state are left as they are, which is what makes a restart warm.

    It sets the rate of every epoch, so no other callback should.
    """

    def __init__(self, cycle: Cycle, *, restarts: int, multiplier: float = 1.0, reset: Reset | None = None):
        """Plan the cycles.

        Args:
            cycle: the first one.
            restarts: how many more follow.
            multiplier: T_mult: how much longer a cycle is than the one before.
            reset: the rate that a new cycle begins with; by default that of the first.

        Raises:
            ValueError: as `restart_cycles`.
        """
        super().__init__()
        self.cycles: list[Cycle] = restart_cycles(cycle, restarts=restarts, multiplier=multiplier, reset=reset)

    def rate_at(self, epoch: int) -> float:
        """The rate of an epoch, counted from 0 as Keras does."""
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
