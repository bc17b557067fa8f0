"""The variable in which an optimizer keeps its learning rate."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["rate_of", "rate_variable"]


def rate_variable(model: Any) -> Any:
    """The `keras.Variable` of a compiled model's learning rate.

    Raises:
        ValueError: the optimizer's rate is a schedule or another function, which nobody can set.
    """
    rate = model.optimizer.learning_rate
    if not isinstance(rate, keras.Variable):
        raise ValueError(
            "learning_rate must be a number if a callback restarts it; optimizer "
            f"{type(model.optimizer).__name__} has a schedule; compile it with a number"
        )
    return rate


def rate_of(model: Any) -> float:
    """The learning rate now; raises as `rate_variable`."""
    return float(keras.ops.convert_to_numpy(rate_variable(model)))
