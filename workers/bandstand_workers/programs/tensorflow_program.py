"""An epoch as one TensorFlow function: a loop over the batches that calls the model's own `train_step`.

Knows TensorFlow's graphs. Must not know callbacks, nor which trial is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bandstand_workers.internals import tensorflow_parts
from bandstand_workers.programs.building import metrics_built
from bandstand_workers.programs.logs import numbers_of
from bandstand_workers.programs.loop import Order
from bandstand_workers.programs.overriding import overrides

__all__ = ["TensorFlowProgram"]

_UNCERTAIN_OPERATIONS = frozenset(
    {"RandomUniform", "RandomUniformInt", "RandomStandardNormal", "ParameterizedTruncatedNormal", "TruncatedNormal",
     "RandomShuffle", "Multinomial", "RandomGamma", "RandomPoisson", "RandomPoissonV2", "SampleDistortedBoundingBox",
     "SampleDistortedBoundingBoxV2", "RandomCrop", "PyFunc", "PyFuncStateless", "EagerPyFunc"}
)  # fmt: skip
"""Operations with a state of their own, which nobody can put back, or that run Python, which may do anything."""

_Step = Callable[[Any, Any, Any, Any], Any]
"""(data, order, first example, number of examples) -> logs of one step."""


class TensorFlowProgram:
    """The epoch and the validation of one compiled model on given data, each traced once, at its first call.

    Batches are slices of a permutation, the last one as long as what is left, as in `fit`. Their length is unknown to
    the trace, so that one trace serves any; with `xla`, which must know it, each length has a trace of its own.
    """

    def __init__(
        self,
        model: Any,
        train: Any,
        validation: Any,
        *,
        batch_size: int,
        validation_batch_size: int,
        xla: bool = False,
    ):
        """Nothing is traced before the first call.

        Args:
            model: compiled; it is trained by this program from now on.
            train: (x, y) or (x, y, sample_weight), each a tensor or a structure of tensors of equal lengths.
            validation: likewise.
            batch_size: examples per step.
            validation_batch_size: examples per step of validation.
            xla: compile by XLA.
        """
        self.model = model
        examples, held_out = len(keras.tree.flatten(train)[0]), len(keras.tree.flatten(validation)[0])
        self._examples, self._held_out = examples, held_out
        self._xla = xla
        self._train, self._validation = tuple(train), tuple(validation)
        self._resets_itself = metrics_built(model, keras.tree.map_structure(lambda tensor: tensor[:1], self._train))
        self.retrace()
        self.resize(batch_size, validation_batch_size)

    def retrace(self) -> None:
        """As `EpochProgram.retrace`."""
        self._train_loop = self._make_loop("train_step", self._examples, in_order=False)
        self._validation_loop = self._make_loop("test_step", self._held_out, in_order=True)

    def resize(self, batch_size: int, validation_batch_size: int) -> None:
        """Take batches of these sizes from now on."""
        self.steps = -(-self._examples // batch_size)
        # What is a number to a trace, which XLA must have, is traced anew for another; what is a tensor is not.
        as_argument = int if self._xla else tf.constant
        self._batch_size, self._validation_batch_size = as_argument(batch_size), as_argument(validation_batch_size)
        self._sizes = {True: batch_size, False: validation_batch_size}
        self._validation_steps = tf.constant(-(-self._held_out // validation_batch_size))

    def trace(self) -> None:
        """Trace both now, so that a model that cannot be traced raises before its training has begun."""
        number = tf.TensorSpec([], tf.int32)
        order = tf.TensorSpec([self._examples], tf.int64)
        self._traced = (
            self._train_loop.get_concrete_function(self._train, order, number, number, number),
            self._validation_loop.get_concrete_function(self._validation, None, number, number, number),
        )

    def hidden_state(self, variables: Iterable[Any]) -> str | None:
        """As `EpochProgram.hidden_state`, by the traces' operations and by what they have captured."""
        raw = (variable if isinstance(variable, tf.Variable) else variable.value for variable in variables)
        handles = {id(variable.handle) for variable in raw}
        for traced in self._traced:
            graph = traced.graph.as_graph_def()
            nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
            uncertain = sorted({node.op for node in nodes} & _UNCERTAIN_OPERATIONS)
            if uncertain:
                return f"the operation {uncertain[0]}"
            for captured in traced.captured_inputs:
                known = id(captured) in handles or tensorflow_parts.is_of_table(captured)
                if captured.dtype == tf.resource and not known:
                    return "a variable that the model does not hold"
        return None

    def unknown_constants(self, variables: Iterable[Any], tensors: Collection[int]) -> str | None:
        """As `EpochProgram.unknown_constants`, by what the traces have captured.

        That there is nothing proves little: numbers and arrays become constants of a trace without a capture.
        """
        captured = [each for traced in self._traced for each in traced.captured_inputs if each.dtype != tf.resource]
        return "a tensor that is no part of the model" if any(id(each) not in tensors for each in captured) else None

    def probe(self, *, train: bool) -> tuple[Any, dict[str, float]]:
        """As `EpochProgram.probe`: the first batch."""
        data = self._train if train else self._validation
        batch = keras.tree.map_structure(lambda tensor: tensor[: self._sizes[train]], data)
        self.begin_epoch()
        if train:
            return batch, self.train(np.arange(self._examples), 0, 1)
        steps = tf.constant(0), tf.constant(1)
        return batch, numbers_of(self._validation_loop(data, None, *steps, self._validation_batch_size))

    def own_step(self, model: Any, batch: Any, *, train: bool) -> dict[str, float]:
        """As `EpochProgram.own_step`."""
        model.reset_metrics()
        return numbers_of((model.train_step if train else model.test_step)(batch))

    def training(self) -> AbstractContextManager[None]:
        """As `EpochProgram.training`: there is nobody to wait for."""
        return nullcontext()

    def begin_epoch(self) -> None:
        """Set the metrics to naught, unless the first step will."""
        if not self._resets_itself:
            self.model.reset_metrics()

    def train(self, order: Order, first_step: int, last_step: int) -> dict[str, float]:
        """Train on some of an epoch's batches, and wait until it is done.

        Args:
            order: indices of the epoch's examples, shape (examples,).
            first_step: counted from 0.
            last_step: excluded.

        Returns:
            The epoch's logs so far.
        """
        steps = tf.constant(first_step), tf.constant(last_step)
        logs = self._train_loop(self._train, tf.constant(order), *steps, self._batch_size)
        return numbers_of(logs)

    def validate(self) -> dict[str, float]:
        """The logs of one pass over the validation data."""
        self.begin_epoch()
        steps = tf.constant(0), self._validation_steps
        return numbers_of(self._validation_loop(self._validation, None, *steps, self._validation_batch_size))

    def _make_loop(self, step_name: str, examples: int, *, in_order: bool) -> Any:
        """A function (data, order, first step, end step, batch size) -> logs that runs one of the model's own steps."""
        model = self.model

        def run_step(data: Any, order: Any, begin: Any, size: Any) -> Any:
            if in_order:
                batch = keras.tree.map_structure(lambda tensor: _slice(tensor, begin, size), data)
            else:
                indices = _slice(order, begin, size)
                batch = keras.tree.map_structure(lambda tensor: tf.gather(tensor, indices), data)
            return getattr(model, step_name)(batch)

        # Keras does not let AutoGraph rewrite a `train_step` either. A step of the user's needs its logs carried
        # along, which XLA's fixed shapes leave no simple place for.
        own_step = overrides(model, keras.Model, step_name)
        if self._xla and not own_step:
            return tf.function(self._fixed_loop(run_step, examples), autograph=False, jit_compile=True)
        return tf.function(self._flexible_loop(run_step, examples, own_step), autograph=False, jit_compile=None)

    def _flexible_loop(self, run_step: _Step, examples: int, own_step: bool) -> Callable[..., Any]:
        """For batches of any size, which is an argument of the trace."""
        model = self.model

        def flexible(data: Any, order: Any, first: Any, end: Any, batch_size: Any) -> Any:
            def run(step: Any) -> Any:
                begin = step * batch_size
                return run_step(data, order, begin, tf.minimum(batch_size, examples - begin))

            self._reset_at(first)
            if own_step:
                return _loop_with_logs(model, run, first, end)
            _loop(run, first, end)
            return model.get_metrics_result()

        return flexible

    def _fixed_loop(self, run_step: _Step, examples: int) -> Callable[..., Any]:
        """For batches of one size, which the trace knows."""

        def fixed(data: Any, order: Any, first: Any, end: Any, batch_size: int) -> Any:
            full_steps, rest = divmod(examples, batch_size)

            def run_full(step: Any) -> Any:
                return run_step(data, order, step * batch_size, batch_size)

            def run_rest() -> Any:
                run_step(data, order, examples - rest, rest)
                return True

            self._reset_at(first)
            if full_steps:
                _loop(run_full, first, tf.minimum(end, full_steps))
            if rest:
                tf.cond(end > full_steps, run_rest, lambda: False)
            return self.model.get_metrics_result()

        return fixed

    def _reset_at(self, first: Any) -> None:
        """Set the metrics to naught before step 0: in the program, because one assignment after the other is slow."""

        def reset() -> Any:
            self.model.reset_metrics()
            return True

        if self._resets_itself:
            tf.cond(tf.equal(first, 0), reset, lambda: False)


def _slice(tensor: Any, begin: Any, size: Any) -> Any:
    """Rows `begin` to `begin + size`; of known shape where `size` is a number."""
    others = tensor.shape.rank - 1
    rows = tf.slice(tensor, [begin] + [0] * others, [size] + [-1] * others)
    # Such a slice forgets the other lengths too, by which Keras decides how weights and labels are matched.
    rows.set_shape([size if isinstance(size, int) else None, *tensor.shape[1:]])
    return rows


def _loop(run: Any, first: Any, end: Any) -> None:
    """Steps `first` to `end`, excluded. Keras's own return nothing but the metrics, which can be asked for later."""

    def body(step: Any) -> Any:
        run(step)
        return step + 1

    tf.while_loop(lambda step: step < end, body, [first], parallel_iterations=1)


def _loop_with_logs(model: Any, run: Any, first: Any, end: Any) -> Any:
    """The same for steps of the user's; returns the logs of the last one.

    What such a step returns is known only when it has been traced, so the first one stands before the loop.
    """

    def traced(step: Any) -> Any:
        return keras.tree.map_structure(tf.convert_to_tensor, run(step))

    _, logs = tf.while_loop(
        lambda step, _: step < end, lambda step, _: (step + 1, traced(step)), [first + 1, traced(first)],
        parallel_iterations=1,
    )  # fmt: skip
    metrics = model.get_metrics_result()
    return metrics if set(metrics) == set(logs) else logs  # as `fit` does
