"""The epochs of a training by a compiled program, with the callbacks that `fit` would have called.

Knows Keras's order of callbacks. Must not know a backend, nor what the callbacks are for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import keras
import numpy as np

__all__ = ["EpochProgram", "Order", "train_epochs"]

_CHUNK_SECONDS = 0.5
"""Where a training has a deadline, it looks at the time about so often."""

Order = np.ndarray[Any, np.dtype[np.int64]]


class EpochProgram(Protocol):
    """An epoch of one model, compiled."""

    steps: int  # batches in an epoch

    def training(self) -> AbstractContextManager[None]:
        """Around the epochs of one training: others that train by the same program at the same time wait for it."""
        ...

    def begin_epoch(self) -> None:
        """Set the metrics to naught."""
        ...

    def train(self, order: Order, first_step: int, last_step: int) -> dict[str, float]:
        """Train on the batches from `first_step`, counted from 0, to `last_step`, excluded; the epoch's logs so far."""
        ...

    def validate(self) -> dict[str, float]:
        """The logs of one pass over the validation data."""
        ...

    def probe(self, *, train: bool) -> tuple[Any, dict[str, float]]:
        """Train or validate on one batch, as in an epoch of one batch; the batch, and the epoch's logs."""
        ...

    def own_step(self, model: Any, batch: Any, *, train: bool) -> dict[str, float]:
        """The logs of one step of a model's own on a batch, without any program."""
        ...

    def hidden_state(self, variables: Iterable[Any]) -> str | None:
        """What the program reads or moves that nobody can put back; None if nothing.

        Args:
            variables: all that a walk over the model has found, of Keras or of the backend.
        """
        ...

    def unknown_constants(self, variables: Iterable[Any], tensors: Collection[int]) -> str | None:
        """What the program holds the value of that no walk has met; None if nothing.

        Args:
            variables: as `hidden_state`.
            tensors: identities of constant tensors that the model holds.
        """
        ...

    def retrace(self) -> None:
        """Forget what was traced; the next call traces the model as it is then."""
        ...


def train_epochs(
    model: Any,
    program: EpochProgram,
    *,
    order_of: Callable[[int], Order],
    epochs_done: int,
    max_epochs: int,
    callbacks: list[Any],
    begun: Callable[[], None] = lambda: None,
    out_of_time: Callable[[], bool] | None = None,
) -> None:
    """Train like `model.fit(..., initial_epoch=epochs_done, epochs=max_epochs)`.

    Args:
        model: the program's.
        program: what trains and validates.
        order_of: the permutation of the examples in an epoch, counted from 1.
        epochs_done: epochs that the model has had.
        max_epochs: the last epoch, unless a callback sets `model.stop_training`.
        callbacks: their epoch-level hooks are called as `fit` does.
        begun: called where the model is to be traced, if callbacks have changed it: after the beginning of the first
            epoch, as `fit` does it. A training that goes on was traced in its first epoch: what callbacks set at the
            beginning of a later one is not seen.
        out_of_time: asked between parts of an epoch; where it says so, the epoch ends where it is.
    """
    hooks = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=model, epochs=max_epochs, steps=program.steps
    )
    model.stop_training = False
    logs: dict[str, float] | None = None
    chunks = _Chunks(program.steps)
    hooks.on_train_begin()
    with program.training():
        if epochs_done:
            begun()
        for epoch in range(epochs_done, max_epochs):
            program.begin_epoch()
            hooks.on_epoch_begin(epoch)
            if epoch == 0:
                begun()
            logs = chunks.train(program, order_of(epoch + 1), out_of_time)
            if not (out_of_time and out_of_time()):
                logs = logs | _validated(program, hooks)
            hooks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
    if isinstance(model.optimizer, keras.optimizers.Optimizer):
        model.optimizer.finalize_variable_values(model.trainable_weights)
    hooks.on_train_end(logs=logs)


def _validated(program: EpochProgram, hooks: Any) -> dict[str, float]:
    """The logs of a validation, as an epoch has them."""
    hooks.on_test_begin()
    held_out = program.validate()
    hooks.on_test_end(held_out)
    return {f"val_{name}": value for name, value in held_out.items()}


class _Chunks:
    """Parts of an epoch of about `_CHUNK_SECONDS`, by the speed of the parts before."""

    def __init__(self, steps: int):
        self._steps = steps
        self._size = max(1, steps // 20)

    def train(self, program: EpochProgram, order: Order, out_of_time: Callable[[], bool] | None) -> dict[str, float]:
        """Train an epoch, or as much of it as there is time for; in one part where time is not limited."""
        if out_of_time is None:
            return program.train(order, 0, self._steps)
        step = 0
        logs: dict[str, float] = {}
        while step < self._steps and not (step and out_of_time()):
            end = min(step + self._size, self._steps)
            began = time.monotonic()
            logs = program.train(order, step, end)
            seconds = time.monotonic() - began
            fitting = max(1, min(self._steps, int((end - step) * _CHUNK_SECONDS / max(seconds, 1e-6))))
            # A power of two, so that trainings that share a program mostly agree on the part that comes next.
            self._size = 2 ** (fitting.bit_length() - 1)
            step = end
        return logs
