"""Restarts after some epochs: the learning rate is set anew, and the weights too where that is wanted.

Knows Keras's callbacks and optimizers. Must not know studies; the rule for the rate is
`bandstand.learning_rates.Reset`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from math import inf, isfinite
from typing import Any, Literal

import keras
import numpy as np

from bandstand.learning_rates import Reset
from bandstand_workers.learning_rates.rate_variable import rate_of, rate_variable

__all__ = ["RandomRestarts"]

_WEIGHTS = ("keep", "best", "fresh")


class RandomRestarts(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """A Keras callback that sets a new learning rate every few epochs.

    A restart happens after epochs k, 2k, 3k, ..., at the beginning of the next epoch, with k = `every_epochs`. Between
    two restarts the callback does not change the rate, so another callback such as `ReduceLROnPlateau` may lower it.

    If a restart changes the weights, it also resets the moments and the step count of the optimizer, because they
    belong to the old weights.

    The callback keeps its state for one call of `fit`, as Keras's own callbacks do: the first learning rate and the
    best weights so far. Bandstand's checkpoints contain both, so a resumed trial restarts as planned.

    The optimizer must have a number as its learning rate, not a schedule; otherwise training raises `ValueError` when
    it begins.

    Example:
        >>> from bandstand.learning_rates import Reset
        >>> from bandstand_workers import RandomRestarts
        >>> reset = Reset(to="random", low=1e-4, high=1e-1, seed=1)
        >>> callback = RandomRestarts(every_epochs=5, restarts=3, reset=reset, weights="best", monitor="val_loss")
        >>> callback.every_epochs
        5
    """

    def __init__(
        self,
        *,
        every_epochs: int,
        restarts: int,
        reset: Reset,
        weights: Literal["keep", "best", "fresh"] = "keep",
        fresh_model: Callable[[], Any] | None = None,
        monitor: str = "val_loss",
        mode: Literal["min", "max"] = "min",
    ):
        """Set up the callback.

        Args:
            every_epochs: number of epochs between two restarts, at least 1.
            restarts: number of restarts.
            reset: rule for the rate after a restart.
            weights: weights after a restart. `keep` leaves them as they are. `best` takes those of the best epoch so
                far, measured by `monitor`; if no epoch had a finite value, it leaves them as they are. `fresh` takes
                those of a new model.
            fresh_model: function that builds that new model, such as `lambda: build(params)`. Before the call, Python's
                random numbers, from which Keras's initializers take their seeds, are seeded by (seed of `reset`,
                number of the restart).
            monitor: key of the epoch's logs, with `weights="best"`.
            mode: `min` if a smaller value of `monitor` is better, `max` if a larger one is.

        Raises:
            ValueError: an argument is out of its range, or `fresh_model` is missing with `weights="fresh"`.
        """
        super().__init__()
        _check_arguments(every_epochs, restarts, weights, fresh_model, mode)
        self.every_epochs: int = every_epochs
        self.restarts: int = restarts
        self.reset: Reset = reset
        self.weights: str = weights
        self.fresh_model: Callable[[], Any] | None = fresh_model
        self.monitor: str = monitor
        self.mode: str = mode
        self.initial_rate: float = 0.0
        self.best_loss: float = inf  # the monitored value, smaller is better
        self.best_weights: list[np.ndarray[Any, Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew; a resumed training's state is put in place of this one after it.

        Raises:
            ValueError: the optimizer's rate is a schedule.
        """
        self.initial_rate = rate_of(self.model)
        self.best_loss, self.best_weights = inf, []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restart, where it is time.

        Raises:
            ValueError: the fresh model has other weights than this one.
        """
        number, rest = divmod(epoch, self.every_epochs)
        if rest or not 1 <= number <= self.restarts:
            return
        weights = self._weights_after(number)
        if weights:
            self.model.set_weights(weights)
            _renew_optimizer(self.model)
        rate_variable(self.model).assign(self.reset.rate_after(number, self.initial_rate))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the best weights, where they are wanted.

        Raises:
            ValueError: the logs have no such metric.
        """
        if self.weights != "best":
            return
        if self.monitor not in (logs or {}):
            names = ", ".join(logs or {})
            raise ValueError(f"monitor must be one of the epoch's logs ({names}); got {self.monitor!r}")
        value = float((logs or {})[self.monitor])
        loss = value if self.mode == "min" else -value
        if isfinite(loss) and loss < self.best_loss:
            self.best_loss, self.best_weights = loss, self.model.get_weights()

    def _weights_after(self, restart: int) -> list[Any]:
        """The weights to go on with; none where they stay."""
        if self.weights != "fresh":
            return self.best_weights
        assert self.fresh_model is not None
        before = random.getstate()
        random.seed(f"{self.reset.seed}/{restart}/weights")
        try:
            fresh = self.fresh_model()
        finally:
            random.setstate(before)
        if not fresh.built:
            fresh.build_from_config(self.model.get_build_config())
        weights: list[Any] = fresh.get_weights()
        expected, made = ([np.shape(array) for array in arrays] for arrays in (self.model.get_weights(), weights))
        if made != expected:
            raise ValueError(
                f"fresh_model must make weights of the shapes {expected}; got {made}; build the model that is trained"
            )
        return weights


def _check_arguments(every_epochs: Any, restarts: Any, weights: str, fresh_model: Any, mode: str) -> None:
    for name, value, least in (("every_epochs", every_epochs, 1), ("restarts", restarts, 0)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}; round it")
    if weights not in _WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(_WEIGHTS)}; got {weights!r}")
    if mode not in ("min", "max"):
        raise ValueError(f"mode must be min or max; got {mode!r}")
    if weights == "fresh" and fresh_model is None:
        raise ValueError(
            "fresh_model must be given with weights = 'fresh'; got None; pass a function that builds the model"
        )


def _renew_optimizer(model: Any) -> None:
    """Put all of the optimizer's variables but the learning rate to what they are before the first step."""
    optimizer = model.optimizer
    if not optimizer.built:
        return
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(model.trainable_variables)
    rate = rate_variable(model)
    for variable, initial in zip(optimizer.variables, fresh.variables, strict=True):
        if variable is not rate:
            variable.assign(initial.value)
