"""A schedule that replays learning rates which were written down epoch by epoch.

Knows Keras's schedules. Must not know where the rates come from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from bandstand_workers.learning_rates.schedules import check_steps

__all__ = ["TableSchedule"]


@keras.saving.register_keras_serializable(package="bandstand")
class TableSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # keras has no types
    """A Keras schedule with one learning rate for each epoch. After the last epoch the rate stays the same.

    Example:
        >>> from bandstand_workers import TableSchedule
        >>> schedule = TableSchedule([0.1, 0.05, 0.01], steps_per_epoch=45)
        >>> round(float(schedule(60)), 3)
        0.05
    """

    def __init__(self, rates: Sequence[float], *, steps_per_epoch: int):
        """Take the rates.

        Args:
            rates: the learning rate of each epoch, finite and above 0.
            steps_per_epoch: number of batches in an epoch, including a last smaller one.

        Raises:
            ValueError: there is no rate, a rate is not finite and positive, or the steps exceed an optimizer's counter.
        """
        super().__init__()
        self.rates: list[float] = [float(rate) for rate in rates]
        if not self.rates:
            raise ValueError("rates must have a rate for each epoch; got none; give at least one")
        for epoch, rate in enumerate(self.rates, start=1):
            if not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"rates must be finite and above 0; got {rate!r} for epoch {epoch}; correct it")
        self.steps_per_epoch: int = check_steps(steps_per_epoch, len(self.rates))

    @classmethod
    def load(cls, path: str | Path, *, steps_per_epoch: int) -> TableSchedule:
        """Read the learning rates of a file that `bandstand schedule NAME -o FILE.json` has written.

        Args:
            path: the JSON file.
            steps_per_epoch: number of batches in an epoch, including a last smaller one.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is of another kind, or an epoch in it has no learning rate.
        """
        content = json.loads(Path(path).read_text())
        rates = content.get("learning_rates") if isinstance(content, dict) else None
        if not rates or None in rates:
            raise ValueError(
                f"the file must hold a learning rate for each epoch, as `bandstand schedule NAME -o FILE.json` writes "
                f"it; got {str(path)!r}"
            )
        return cls(rates, steps_per_epoch=steps_per_epoch)

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, as a float32 scalar.

        Args:
            step: scalar number of the optimizer's step, counted from 0; a float is rounded down.
        """
        epoch = ops.cast(step, "int32") // self.steps_per_epoch
        table = ops.convert_to_tensor(self.rates, dtype="float32")
        return ops.take(table, ops.minimum(epoch, len(self.rates) - 1))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"rates": list(self.rates), "steps_per_epoch": self.steps_per_epoch}
