"""Plain Keras: a fresh model for each point, trained by one `model.fit`.

Knows Keras and how Bandstand orders examples and seeds. Must not know Bandstand's code: a mistake there would be here.
"""

from __future__ import annotations

import importlib
import math
import random
import traceback
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

from tests.oracle.programs import Point, Program
from tests.oracle.results import Result

__all__ = ["train_program"]


class _Seeds(keras.callbacks.Callback):
    """Seeds Python's and NumPy's generators for each epoch, as documented."""

    def __init__(self, seed: int):
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        state = np.random.SeedSequence([self._seed, epoch]).generate_state(2)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))


class _Notes(keras.callbacks.Callback):
    """What each epoch's logs were, and the model's variables after it."""

    def __init__(self, result: Result):
        super().__init__()
        self._result = result

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        numbers = {name: float(np.reshape(value, ())) for name, value in logs.items() if np.size(value) == 1}
        self._result.epochs.append(numbers)
        self._result.variables = [
            (variable.path, np.array(keras.ops.convert_to_numpy(variable))) for variable in self.model.variables
        ]


_SHAKE = 2e-7
"""About one rounding of a `float32`, relatively."""


def train_program(program: Program, *, shaken: bool = False) -> list[Result]:
    """The result of each point; if `shaken`, each weight begins one rounding beside."""
    keras.config.set_dtype_policy("float32")
    module = importlib.import_module(program.module)
    policy = keras.config.dtype_policy()
    data = module.load()
    results = []
    for point in program.points:
        keras.config.set_dtype_policy(policy)
        result = Result()
        try:
            _train(program, module, data, point, result, shaken)
        except Exception:  # noqa: BLE001  # a random program may raise anything
            result.error = traceback.format_exc()[-3000:]
        results.append(result)
    return results


def _train(program: Program, module: Any, data: Any, point: Point, result: Result, shaken: bool) -> None:
    size = point.params[program.batch_size] if isinstance(program.batch_size, str) else program.batch_size
    callbacks = module.callbacks(dict(point.params)) if program.has_callbacks else []
    model = _fresh(module, point)
    batches, steps = _batches(data["train"], int(size), point.seed, program.epochs)
    if steps % model.steps_per_execution:
        model.steps_per_execution = 1  # of arrays an execution ends with the epoch; of a data set of all it does not
    if not model.built:  # before the seeds of the first epoch, which plain `fit` does not have
        before = [(variable, np.array(keras.ops.convert_to_numpy(variable))) for variable in model.variables]
        model(next(iter(batches))[0])
        for variable, value in before:  # `fit` builds without using up random states
            variable.assign(value)
    if shaken:
        _shake(model)
    model.fit(
        batches,
        steps_per_epoch=steps,
        epochs=program.epochs,
        shuffle=False,
        validation_data=tuple(map(_with_texts, data["validation"])),
        validation_batch_size=size,
        callbacks=[_Seeds(point.seed), *callbacks, _Notes(result)],
        verbose=0,
    )


def _shake(model: Any) -> None:
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = np.array(keras.ops.convert_to_numpy(variable))
        variable.assign((value * (1 + _SHAKE * rng.choice([-1.0, 1.0], value.shape))).astype(value.dtype))


def _fresh(module: Any, point: Point) -> Any:
    keras.backend.clear_session(free_memory=False)  # to collect garbage each time takes a quarter of a run
    keras.utils.set_random_seed(point.seed)
    return module.build(dict(point.params))


def _batches(split: Any, size: int, seed: int, epochs: int) -> tuple[Any, int]:
    """A `tf.data.Dataset` of what `fit` would make of the user's own data in each epoch's order, and its steps."""
    examples = len(_rows(keras.tree.flatten(split)[0]))
    sets = []
    for epoch in range(1, epochs + 1):
        order = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(examples)
        ordered = [_taken(part, order) for part in split]
        with tf.device("CPU"):
            sets.append(ArrayDataAdapter(*map(_with_texts, ordered), batch_size=size, shuffle=False).get_tf_dataset())
    batches = sets[0]
    for each in sets[1:]:
        batches = batches.concatenate(each)
    return batches, math.ceil(examples / size)


def _rows(value: Any) -> Any:
    return np.empty(value.shape[0])


def _taken(value: Any, order: Any) -> Any:
    if isinstance(value, dict):
        return {name: _taken(part, order) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_taken(part, order) for part in value)
    return value.iloc[order] if hasattr(value, "iloc") else value[order]


def _with_texts(value: Any) -> Any:
    """A part of the data with its texts as tensors, which Keras asks of its users."""
    return keras.tree.map_structure(
        lambda leaf: tf.constant(leaf) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "O" else leaf, value
    )
