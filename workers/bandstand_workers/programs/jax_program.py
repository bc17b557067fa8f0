"""An epoch as one JAX computation: a loop over the batches around the model's own, stateless `train_step`.

Knows JAX, and how Keras keeps a model's state apart from its functions there. Must not know callbacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from bandstand_workers import keras_session
from bandstand_workers.programs.batched_calls import Together
from bandstand_workers.programs.building import metrics_built
from bandstand_workers.programs.constants import Slot
from bandstand_workers.programs.logs import numbers_of
from bandstand_workers.programs.loop import Order

__all__ = ["JaxFunctions", "JaxProgram"]

_State = tuple[list[Any], ...]
"""The values of a model's variables: trainable, others, the optimizer's, the metrics'."""


class JaxFunctions:
    """The epoch and the validation of every model of one signature, each by itself or several at once.

    Several models are one computation (`jax.vmap` over their states, constants and orders of examples): a small model
    leaves most of a GPU idle, and its steps take as long for many models as for one. The computation is always of the
    same width, however many there are to train, so that it is compiled once and gives a model the same result whoever
    trains beside it.
    """

    def __init__(
        self, model: Any, slots: Sequence[Slot], train: Any, validation: Any, *, batch_size: int,
        validation_batch_size: int, width: int = 1,
    ):  # fmt: skip
        """Nothing is traced yet.

        Args:
            model: compiled, with weights; whose steps are traced. Its slots must be variables before that.
            slots: the model's constants that differ between models of one signature.
            train: as `TensorFlowProgram`, JAX arrays.
            validation: as `train`.
            batch_size: examples of a step.
            validation_batch_size: the same in validation.
            width: how many models are trained at once at most.
        """
        self._model, self._slots = model, slots
        self._train, self._validation = tuple(train), tuple(validation)
        self._sizes = {True: batch_size, False: validation_batch_size}
        self._examples = {
            True: len(keras.tree.flatten(self._train)[0]),
            False: len(keras.tree.flatten(self._validation)[0]),
        }
        self.steps = -(-self._examples[True] // batch_size)
        self.validation_steps = -(-self._examples[False] // validation_batch_size)
        self._width = width
        self._compiled: set[tuple[bool, bool, bool]] = set()
        self._together = Together(self._run)
        function = self._one if width == 1 else self._several
        # What is given twice, as the models that fill up the width are, cannot be given away.
        donated = 1 if width == 1 else ()
        self._passes = {
            True: jax.jit(function, static_argnums=0, donate_argnums=donated),
            False: jax.jit(function, static_argnums=0),
        }

    @property
    def examples(self) -> int:
        """How many are trained on in an epoch."""
        return self._examples[True]

    def last_batch(self, train: bool) -> Any:
        """The last batch of an epoch in the data's order."""
        steps = self.steps if train else self.validation_steps
        data = self._train if train else self._validation
        return jax.tree.map(lambda array: array[(steps - 1) * self._sizes[train] :], data)

    def anew(self, model: Any, slots: Sequence[Slot]) -> JaxFunctions:
        """The same functions, of which nothing is traced yet, for a model as it is now."""
        sizes = {"batch_size": self._sizes[True], "validation_batch_size": self._sizes[False]}
        return JaxFunctions(model, slots, self._train, self._validation, **sizes, width=self._width)

    def training(self) -> AbstractContextManager[None]:
        """While a thread trains by these functions, so that others that do wait for it."""
        return self._together.member()

    def run(self, wanted: _Pass, model: _Asked) -> tuple[_State, dict[str, float]]:
        """Train or validate a model; its new state, and the logs."""
        answer: tuple[_State, dict[str, float]] = self._together.ask(wanted, model)
        return answer

    def run_alone(self, wanted: _Pass, model: _Asked) -> tuple[_State, dict[str, float]]:
        """As `run`, beside whatever others do: for a caller whom they may have to wait for."""
        return self._run(wanted, [model])[0]

    def trace(self, asked: _Asked) -> None:
        """Trace an epoch, so that a model that cannot be traced is found out.

        Raises:
            Exception: whatever the model raises where it sees symbolic inputs.
        """
        arguments = self._arguments(_Pass(train=True, fresh=True, first=0, last=self.steps), [asked])
        with keras_session.EXCLUSIVE:
            self._passes[True].trace(*arguments)

    def _run(self, wanted: _Pass, asked: list[_Asked]) -> list[tuple[_State, dict[str, float]]]:
        arguments = self._arguments(wanted, asked)
        variant = arguments[0]
        # Tracing uses the model and what Keras keeps for the whole process.
        with nullcontext() if variant in self._compiled else keras_session.EXCLUSIVE:
            states, logs = self._passes[wanted.train](*arguments)
            self._compiled.add(variant)
        logs = jax.device_get(logs)
        if self._width == 1:
            return [(states, {name: float(value) for name, value in logs.items()})]
        return [
            (state, {name: float(values[index]) for name, values in logs.items()})
            for index, state in enumerate(states[: len(asked)])
        ]

    def _arguments(self, wanted: _Pass, asked: list[_Asked]) -> tuple[Any, ...]:
        full, rest = divmod(self._examples[wanted.train], self._sizes[wanted.train])
        variant = (wanted.train, wanted.fresh, bool(rest) and wanted.last > full)
        data = self._train if wanted.train else self._validation
        bounds = np.array([min(wanted.first, full), min(wanted.last, full)], np.int32)
        if self._width == 1:
            return variant, asked[0].state, asked[0].constants, asked[0].order, data, bounds
        rows = [*asked, *[asked[0]] * (self._width - len(asked))]
        constants = np.stack([row.constants for row in rows])
        orders = None if asked[0].order is None else np.stack([row.order for row in rows])
        return variant, [row.state for row in rows], constants, orders, data, bounds

    def _several(
        self,
        variant: tuple[bool, bool, bool],
        states: list[_State],
        constants: Any,
        orders: Any,
        data: Any,
        bounds: Any,
    ) -> tuple[list[_State], Any]:
        stacked = jax.tree.map(lambda *values: jnp.stack(values), *states)
        across = jax.vmap(
            lambda state, numbers, order: self._one(variant, state, numbers, order, data, bounds),
            in_axes=(0, 0, None if orders is None else 0),
        )
        new, logs = across(stacked, constants, orders)
        return [jax.tree.map(lambda values, index=index: values[index], new) for index in range(len(states))], logs

    def _one(
        self, variant: tuple[bool, bool, bool], state: _State, constants: Any, order: Any, data: Any, bounds: Any
    ) -> tuple[_State, Any]:
        """Train or validate one model on the batches between two bounds, and on the shorter last one if wanted.

        Validation gives back those parts of the state only that it may change.
        """
        train, fresh, with_rest = variant
        size, step = self._sizes[train], self._model.train_step if train else _as_train_step(self._model.test_step)
        full, rest = divmod(self._examples[train], size)

        def batch(start: Any, length: int) -> Any:
            if order is None:
                return jax.tree.map(lambda array: jax.lax.dynamic_slice_in_dim(array, start, length), data)
            indices = jax.lax.dynamic_slice_in_dim(order, start, length)
            return jax.tree.map(lambda array: jnp.take(array, indices, axis=0), data)

        def advance(index: Any, carried: Any) -> Any:
            logs, state = step(carried[0], batch(index * size, size))
            return _typed(carried[0], state), _typed(carried[1], logs)

        with ExitStack() as stack:
            for index, slot in enumerate(self._slots):
                stack.enter_context(slot.traced_as(constants[index]))
            if fresh:
                state = (*state[:3], self._without_metrics(state[3]))
            state = _typed(state, state)
            logs: Any = None
            if full:
                shapes = jax.eval_shape(lambda state: step(state, batch(0, size))[0], state)
                logs = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
                state, logs = jax.lax.fori_loop(bounds[0], bounds[1], advance, (state, logs))
            if with_rest:
                logs, new = step(state, batch(full * size, rest))
                state = _typed(state, new)
            logs = self._logs(state, logs)
            return (state if train else ([], state[1], [], state[3])), logs

    def _without_metrics(self, values: list[Any]) -> list[Any]:
        """The values of the metrics' variables after a reset."""
        variables = self._model.metrics_variables
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            self._model.reset_metrics()
        return [scope.get_current_value(variable) for variable in variables]

    def _logs(self, state: _State, logs: Any) -> Any:
        """What `fit` shows: the metrics, unless a step of the user's own gives something else."""
        variables = self._model.metrics_variables
        with keras.StatelessScope(state_mapping=list(zip(variables, state[3], strict=True))):
            metrics = self._model.get_metrics_result()
        chosen = metrics if set(metrics) == set(logs) else logs
        return {name: jnp.reshape(value, ()) for name, value in chosen.items() if math.prod(np.shape(value)) == 1}


@dataclass(frozen=True, slots=True)
class _Pass:
    """A part of an epoch, or a validation: what models must have in common to be trained at once."""

    train: bool
    fresh: bool  # with metrics at naught
    first: int  # step
    last: int  # excluded


@dataclass(frozen=True, slots=True)
class _Asked:
    """A model that is to be trained or validated."""

    state: _State
    constants: Any  # values of the slots
    order: Any = None  # of the examples; None: as they are


_Run = Callable[[_Pass, _Asked], tuple[_State, dict[str, float]]]


class JaxProgram:
    """The epoch and the validation of one compiled model; see `TensorFlowProgram`.

    Between two calls the model's variables hold its state, so that callbacks see and change what they expect.
    """

    def __init__(self, model: Any, slots: Sequence[Slot], functions: JaxFunctions, batch: Any):
        """A model that these functions are for.

        Args:
            model: compiled, with weights.
            slots: the model's constants, in the functions' order.
            functions: of the model's signature.
            batch: of training data; only shapes and types matter.

        Raises:
            ValueError: a stateless step needs all variables beforehand, and they cannot be made.
        """
        self.model = model
        self.functions = functions
        self.steps = functions.steps
        self._slots = slots
        self._fresh = True
        if not metrics_built(model, batch):
            raise ValueError("its metrics cannot be built without a step")
        self._variables = _groups_of(model)

    def training(self) -> AbstractContextManager[None]:
        """As `EpochProgram.training`."""
        return self.functions.training()

    def begin_epoch(self) -> None:
        """Set the metrics to naught, which the next call does."""
        self._fresh = True

    def trace(self) -> None:
        """As `JaxFunctions.trace`."""
        self.functions.trace(self._asked(np.arange(self.functions.examples, dtype=np.int32)))

    def train(self, order: Order, first_step: int, last_step: int) -> dict[str, float]:
        """As `TensorFlowProgram.train`."""
        fresh, self._fresh = self._fresh, False
        wanted = _Pass(train=True, fresh=fresh, first=first_step, last=last_step)
        return self._take(wanted, self._asked(order.astype(np.int32)))

    def validate(self) -> dict[str, float]:
        """As `TensorFlowProgram.validate`."""
        return self._take(_Pass(train=False, fresh=True, first=0, last=self.functions.validation_steps), self._asked())

    def hidden_state(self, variables: Iterable[Any]) -> str | None:
        """As `EpochProgram.hidden_state`: a stateless step has none, in `fit` no more than here."""
        return None

    def unknown_constants(self, variables: Iterable[Any], tensors: Collection[int]) -> str | None:
        """As `EpochProgram.unknown_constants`: variables that the program does not carry, so that it holds values."""
        carried = {id(variable) for group in self._variables for variable in group}
        return next((variable.path for variable in variables if id(variable) not in carried), None)

    def probe(self, *, train: bool) -> tuple[Any, dict[str, float]]:
        """As `EpochProgram.probe`: the last batch, for which nothing is compiled that an epoch does not need."""
        functions, self._fresh = self.functions, True
        steps = functions.steps if train else functions.validation_steps
        wanted = _Pass(train=train, fresh=True, first=steps - 1, last=steps)
        order = np.arange(functions.examples, dtype=np.int32) if train else None
        return functions.last_batch(train), self._take(wanted, self._asked(order), functions.run_alone)

    def own_step(self, model: Any, batch: Any, *, train: bool) -> dict[str, float]:
        """As `EpochProgram.own_step`.

        Raises:
            ValueError: the model's metrics cannot be built.
        """
        if not metrics_built(model, batch):
            raise ValueError("its metrics cannot be built without a step")
        model.reset_metrics()
        groups = _groups_of(model)
        state = tuple([variable.value for variable in group] for group in groups)
        step = model.train_step if train else _as_train_step(model.test_step)
        logs, state = jax.jit(step)(state, batch)  # as `fit` does; else JAX would compile each operation by itself
        for variables, values in zip(groups, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return numbers_of(logs)

    def retrace(self) -> None:
        """As `EpochProgram.retrace`; others that share the functions keep the old ones."""
        self.functions = self.functions.anew(self.model, self._slots)

    def _asked(self, order: Any = None) -> _Asked:
        state = tuple([variable.value for variable in group] for group in self._variables)
        return _Asked(state, np.array([slot.value for slot in self._slots], np.float32), order)

    def _take(self, wanted: _Pass, asked: _Asked, run: _Run | None = None) -> dict[str, float]:
        state, logs = (run or self.functions.run)(wanted, asked)
        for variables, values in zip(self._variables, state, strict=True):
            for variable, value in zip(variables if values else (), values, strict=True):
                variable.assign(value)
        return logs


def _groups_of(model: Any) -> tuple[list[Any], ...]:
    """A model's variables as Keras's stateless steps take them."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _typed(before: Any, after: Any) -> Any:
    """What a step gives, with the types of what it took: a loop must keep them, and a user's step may promote."""
    return jax.tree.map(lambda old, new: jnp.asarray(new, old.dtype), before, after)


def _as_train_step(test_step: Any) -> Any:
    """A test step that carries the optimizer's variables along untouched."""

    def step(state: Any, batch: Any) -> Any:
        trainable, others, optimizer, metrics = state
        logs, (trainable, others, metrics) = test_step((trainable, others, metrics), batch)
        return logs, (trainable, others, optimizer, metrics)

    return step
