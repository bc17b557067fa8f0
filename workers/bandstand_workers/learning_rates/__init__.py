"""Learning rates for Keras: schedules that change by the step, callbacks that restart by the epoch.

`LR_SCHEDULES` has a `keras.optimizers.schedules.LearningRateSchedule` for each shape of `bandstand.learning_rates`. A
schedule is a function of the optimizer's step count and nothing else, so it needs no state of its own, goes into any
compiled program and into any saved model. `TableSchedule` replays rates that were written down, epoch by epoch.

`WarmRestarts` and `RandomRestarts` set the learning rate's variable at the beginning of an epoch. They have no hooks
for batches, so compiled epochs stay possible, and what they know is either given or kept in plain attributes, so a
checkpoint carries it. Both work with plain `model.fit` as well. They need an optimizer made with a number for its rate.

A new schedule is a formula and a line in `service/bandstand/learning_rates.py`, and a class and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bandstand_workers.learning_rates.random_restarts import RandomRestarts
from bandstand_workers.learning_rates.schedules import (
    ConstantSchedule,
    CosineSchedule,
    CycleSchedule,
    ExponentialSchedule,
    LinearSchedule,
    StepSchedule,
    TimeSchedule,
)
from bandstand_workers.learning_rates.table import TableSchedule
from bandstand_workers.learning_rates.warm_restarts import WarmRestarts

__all__ = ["LR_SCHEDULES", "CycleSchedule", "RandomRestarts", "TableSchedule", "WarmRestarts"]

LR_SCHEDULES: Mapping[str, type[CycleSchedule]] = MappingProxyType(
    {
        "constant": ConstantSchedule,
        "time": TimeSchedule,
        "exponential": ExponentialSchedule,
        "step": StepSchedule,
        "cosine": CosineSchedule,
        "linear": LinearSchedule,
    }
)
"""A Keras schedule for each shape of `bandstand.learning_rates.LEARNING_RATES`, by name."""
