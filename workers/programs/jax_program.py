"""An epoch as one JAX computation: a loop over the batches around the model's own, stateless `train_step`.

Knows JAX, and how Keras keeps a model's state apart from its functions there. Must not know callbacks.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras

from workers.programs.building import metrics_built
from workers.programs.loop import Order

__all__ = ["JaxProgram"]


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
        self._train, self._validation = tuple(train), tuple(validation)
        self._batch_size, self._validation_batch_size = batch_size, validation_batch_size
        self._held_out = len(keras.tree.flatten(self._validation)[0])
        self.steps = -(-len(keras.tree.flatten(self._train)[0]) // batch_size)
        self._train_batches = jax.jit(_make_loop(model.train_step), donate_argnums=0)
        self._test_batches = jax.jit(_make_loop(_as_train_step(model.test_step)))
        if not metrics_built(model, keras.tree.map_structure(lambda array: array[:1], self._train)):
            raise ValueError("its metrics cannot be built without a step")

    def begin_epoch(self) -> None:
        """Set the metrics to naught."""
        self.model.reset_metrics()

    def train(self, order: Order, first_step: int, last_step: int) -> dict[str, float]:
        """As `TensorFlowProgram.train`."""
        return self._pass(self._train_batches, self._train, jnp.asarray(order), self._batch_size, first_step, last_step)

    def validate(self) -> dict[str, float]:
        """As `TensorFlowProgram.validate`."""
        self.model.reset_metrics()
        order, size = jnp.arange(self._held_out), self._validation_batch_size
        return self._pass(self._test_batches, self._validation, order, size, 0, -(-self._held_out // size))

    def _pass(self, run: Any, data: Any, order: Any, size: int, first_step: int, last_step: int) -> dict[str, float]:
        """Run the batches of some steps, the shorter last one by itself; the logs of the last."""
        full, rest = divmod(len(order), size)
        state = tuple([variable.value for variable in group] for group in _variables(self.model))
        logs: Any = {}
        if first_step < full:
            batches = order[first_step * size : min(last_step, full) * size].reshape(-1, size)
            state, logs = run(state, data, batches)
        if rest and last_step > full:
            state, logs = run(state, data, order[full * size :].reshape(1, rest))
        for group, values in zip(_variables(self.model), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return _as_numbers(self.model, logs)


def _make_loop(step: Any) -> Any:
    """A function (state, data, batches of indices) -> (state, logs of the last batch)."""

    def run(state: Any, data: Any, batches: Any) -> Any:
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


def _variables(model: Any) -> tuple[Any, ...]:
    """All that a stateless step takes and gives back, in its order."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _as_numbers(model: Any, logs: Any) -> dict[str, float]:
    metrics = model.get_metrics_result()
    chosen = metrics if set(metrics) == set(logs) else logs
    return {name: float(value) for name, value in chosen.items() if getattr(value, "ndim", 0) == 0}
