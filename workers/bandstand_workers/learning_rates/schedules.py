"""The shapes of `bandstand.learning_rates` as Keras schedules: one rate for each step of the optimizer.

Knows Keras's schedules. Must not know restarts, nor epochs other than as a number of steps.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
from keras import ops

from bandstand.learning_rates import Cycle

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "CycleSchedule",
    "ExponentialSchedule",
    "LinearSchedule",
    "StepSchedule",
    "TimeSchedule",
    "check_steps",
]

_MOST_STEPS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """A time after the warm-up, as scalar tensors."""

    t: Any  # epochs since then, float32
    epoch: Any  # whole ones, int32
    remaining: Any  # of the cycle without warm-up: 1 at first, 0 from its end on; float32


class CycleSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # keras has no types
    """Base class of the Keras schedules in `LR_SCHEDULES`, each for one shape of a learning-rate cycle.

    A schedule has the numbers of a `bandstand.learning_rates.Cycle`, which documents them. The rate is a float32 scalar
    that is finite and positive at every step from 0, also after the end of the cycle.

    Example:
        >>> from bandstand_workers import LR_SCHEDULES
        >>> schedule = LR_SCHEDULES["linear"](initial=0.1, epochs=10, steps_per_epoch=45)
        >>> round(float(schedule(225)), 3)
        0.05
    """

    shape: ClassVar[str]  # its name in LEARNING_RATES and LR_SCHEDULES

    def __init__(self, *, steps_per_epoch: int, **cycle: Any):
        """Take the numbers of a cycle.

        Args:
            steps_per_epoch: number of batches in an epoch, including a last smaller one.
            **cycle: the fields of `Cycle` without `shape`; at least `initial` and `epochs`.

        Raises:
            ValueError: a number is out of its range, as in `Cycle`, or the steps exceed an optimizer's counter.
        """
        super().__init__()
        self.cycle: Cycle = Cycle(shape=self.shape, **cycle)
        self.steps_per_epoch: int = check_steps(steps_per_epoch, self.cycle.epochs)

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, as a float32 scalar.

        Args:
            step: scalar number of the optimizer's step, counted from 0; a float is rounded down.
        """
        # Whole numbers are divided as such: a compiler may divide by multiplying with a rounded reciprocal, and the
        # end of a long training would be lost in float32.
        cycle, per_epoch = self.cycle, self.steps_per_epoch
        step = ops.cast(step, "int32")
        warmup_steps = cycle.warmup_epochs * per_epoch
        steps = cycle.epochs * per_epoch - warmup_steps
        since = ops.maximum(step - warmup_steps, 0)
        moment = _Moment(
            t=_quotient(since, per_epoch),
            epoch=since // per_epoch,
            remaining=_quotient(ops.maximum(steps - since, 0), steps),
        )
        rate = cycle.initial * ops.maximum(self.fraction(moment), cycle.final_fraction)
        if not warmup_steps:
            return rate
        warming_up = cycle.initial * (_quotient(step, per_epoch) + 1.0) / (cycle.warmup_epochs + 1.0)
        return ops.where(step < warmup_steps, warming_up, rate)

    def fraction(self, moment: Any) -> Any:
        """The part of the initial rate at a moment after the warm-up; may come down to 0."""
        raise NotImplementedError

    def between(self, part: Any) -> Any:
        """The fraction that is `part` of the way up from the final one, 0, to the initial one, 1."""
        return self.cycle.final_fraction + (1 - self.cycle.final_fraction) * part

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        fields = dataclasses.asdict(self.cycle)
        del fields["shape"]
        return {"steps_per_epoch": self.steps_per_epoch, **fields}


@keras.saving.register_keras_serializable(package="bandstand")
class ConstantSchedule(CycleSchedule):
    """The rate stays at its initial value."""

    shape = "constant"

    def fraction(self, moment: _Moment) -> Any:
        """As `CycleSchedule`."""
        return ops.ones_like(moment.t)


@keras.saving.register_keras_serializable(package="bandstand")
class TimeSchedule(CycleSchedule):
    """The rate decays with time: initial / (1 + decay · t), with t in epochs since the warm-up."""

    shape = "time"

    def fraction(self, moment: _Moment) -> Any:
        """As `CycleSchedule`."""
        return 1.0 / (1.0 + self.cycle.decay * moment.t)


@keras.saving.register_keras_serializable(package="bandstand")
class ExponentialSchedule(CycleSchedule):
    """The rate decays exponentially: initial · exp(−decay · t), with t in epochs since the warm-up."""

    shape = "exponential"

    def fraction(self, moment: _Moment) -> Any:
        """As `CycleSchedule`."""
        return ops.exp(-self.cycle.decay * moment.t)


@keras.saving.register_keras_serializable(package="bandstand")
class StepSchedule(CycleSchedule):
    """The rate drops by `factor` every `every_epochs` epochs: initial · factor^⌊t / every_epochs⌋."""

    shape = "step"

    def fraction(self, moment: _Moment) -> Any:
        """As `CycleSchedule`."""
        drops = ops.cast(moment.epoch // self.cycle.every_epochs, "float32")
        return ops.power(ops.convert_to_tensor(self.cycle.factor, dtype="float32"), drops)


@keras.saving.register_keras_serializable(package="bandstand")
class CosineSchedule(CycleSchedule):
    """The rate falls along half a cosine: initial · (1 + cos(π · t / T)) / 2 (SGDR, Loshchilov and Hutter 2017)."""

    shape = "cosine"

    def fraction(self, moment: _Moment) -> Any:
        """As `CycleSchedule`."""
        return self.between(ops.square(ops.sin(math.pi / 2 * moment.remaining)))


@keras.saving.register_keras_serializable(package="bandstand")
class LinearSchedule(CycleSchedule):
    """The rate falls in a straight line: initial · (1 − t / T), with T epochs after the warm-up."""

    shape = "linear"

    def fraction(self, moment: _Moment) -> Any:
        """As `CycleSchedule`."""
        return self.between(moment.remaining)


def check_steps(steps_per_epoch: int, epochs: int) -> int:
    """`steps_per_epoch`, if an optimizer can count the steps of so many epochs.

    Raises:
        ValueError: it cannot, or there are none.
    """
    if not isinstance(steps_per_epoch, int) or steps_per_epoch < 1:
        raise ValueError(
            f"steps_per_epoch must be a whole number of at least 1; got {steps_per_epoch!r}; "
            "it is ceil(examples / batch size)"
        )
    if steps_per_epoch * epochs > _MOST_STEPS:
        raise ValueError(
            f"epochs times steps_per_epoch must be at most {_MOST_STEPS}, as far as an optimizer counts; "
            f"got {epochs} times {steps_per_epoch}; take fewer epochs"
        )
    return steps_per_epoch


def _quotient(steps: Any, divisor: int) -> Any:
    return ops.cast(steps, "float32") / float(divisor)
