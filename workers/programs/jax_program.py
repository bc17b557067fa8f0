"""An epoch as one JAX computation: a loop over the batches around the model's own, stateless `train_step`.

Knows JAX, and how Keras keeps a model's state apart from its functions there. Must not know callbacks.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from workers.programs.building import metrics_built

__all__ = ["JaxProgram"]

Order = np.ndarray[Any, np.dtype[np.int64]]


class JaxProgram:
    """The epoch and the validation of one compiled model on given data; see `TensorFlowProgram`.

    JAX compiles for fixed shapes: an epoch is one computation for its full batches and one for the shorter last one.
    Between two calls the model's variables hold its state, so that callbacks see and change what they expect.
    """

    def __init__(self, model: Any, train: Any, validation: Any, *, batch_size: int, validation_batch_size: int):
        """As `TensorFlowProgram`; JAX always compiles by XLA.

        Raises:
            ValueError: a stateless step needs all variables beforehand, and they cannot be made.
        """
        self.model = model
        self._train = keras.tree.map_structure(jnp.asarray, tuple(train))
        self._validation = keras.tree.map_structure(jnp.asarray, tuple(validation))
        self._batch_size, self._validation_batch_size = batch_size, validation_batch_size
        self._examples = len(keras.tree.flatten(self._train)[0])
        self._held_out = len(keras.tree.flatten(self._validation)[0])
        self.steps = -(-self._examples // batch_size)
        self._train_batches = jax.jit(_make_loop(model.train_step), static_argnames="size", donate_argnums=0)
        self._test_batches = jax.jit(_make_loop(_as_train_step(model.test_step)), static_argnames="size")
        if not metrics_built(model, keras.tree.map_structure(lambda array: array[:1], self._train)):
            raise ValueError("its metrics cannot be built without a step")

    def begin_epoch(self) -> None:
        """Set the metrics to naught."""
        self.model.reset_metrics()

    def train(self, order: Order, first_step: int, last_step: int) -> dict[str, float]:
        """As `TensorFlowProgram.train`."""
        model, size = self.model, self._batch_size
        full = self._examples // size
        indices = jnp.asarray(order)
        state = _state_of(model)
        logs: Any = {}
        if first_step < full:
            batches = indices[first_step * size : min(last_step, full) * size].reshape(-1, size)
            state, logs = self._train_batches(state, self._train, batches, size=size)
        rest = self._examples - full * size
        if rest and last_step > full:
            state, logs = self._train_batches(state, self._train, indices[full * size :].reshape(1, rest), size=rest)
        _give_back(model, state)
        return _as_numbers(model, logs)

    def validate(self) -> dict[str, float]:
        """As `TensorFlowProgram.validate`."""
        model, size = self.model, self._validation_batch_size
        model.reset_metrics()
        state = _state_of(model)
        full, rest = divmod(self._held_out, size)
        logs: Any = {}
        if full:
            batches = jnp.arange(full * size).reshape(full, size)
            state, logs = self._test_batches(state, self._validation, batches, size=size)
        if rest:
            batches = jnp.arange(full * size, self._held_out).reshape(1, rest)
            state, logs = self._test_batches(state, self._validation, batches, size=rest)
        _give_back(model, state)
        return _as_numbers(model, logs)


def _make_loop(step: Any) -> Any:
    """A function (state, data, batches of indices) -> (state, logs of the last batch)."""

    def run(state: Any, data: Any, batches: Any, size: int) -> Any:
        def one(state: Any, indices: Any) -> Any:
            batch = keras.tree.map_structure(lambda array: jnp.take(array, indices, axis=0), data)
            logs, state = step(state, batch)
            return state, logs

        state, logs = jax.lax.scan(one, state, batches)
        return state, keras.tree.map_structure(lambda values: values[-1], logs)

    return run


def _as_train_step(test_step: Any) -> Any:
    """A test step that carries the optimizer's variables along untouched."""

    def step(state: Any, batch: Any) -> Any:
        trainable, others, optimizer, metrics = state
        logs, (trainable, others, metrics) = test_step((trainable, others, metrics), batch)
        return logs, (trainable, others, optimizer, metrics)

    return step


def _state_of(model: Any) -> tuple[list[Any], ...]:
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return tuple([variable.value for variable in group] for group in groups)


def _give_back(model: Any, state: tuple[list[Any], ...]) -> None:
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)


def _as_numbers(model: Any, logs: Any) -> dict[str, float]:
    metrics = model.get_metrics_result()
    chosen = metrics if set(metrics) == set(logs) else logs
    return {name: float(value) for name, value in chosen.items() if getattr(value, "ndim", 0) == 0}
