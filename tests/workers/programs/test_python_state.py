"""Two models that a builder makes with one set of params are equal to a walk over them, and what it finds is all."""

from __future__ import annotations

import enum
import functools
import os
import re
import threading
from collections.abc import Callable
from os import getenv
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf

from bandstand_workers import keras_session
from bandstand_workers.programs.constants import find_slots
from bandstand_workers.programs.python_state.reading import read_python_state
from bandstand_workers.programs.python_state.walk_results import PythonState

layers = keras.layers


def dense() -> Any:
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(4, activation="relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.GaussianNoise(0.1),
            layers.Dense(2, kernel_initializer=keras.initializers.HeNormal()),
        ]
    )


def branches() -> Any:
    inputs = keras.Input((8,))
    shared = layers.Dense(4)
    inner = keras.Sequential([keras.Input((4,)), layers.LayerNormalization(), layers.Dense(4, activation="gelu")])
    joined = layers.Concatenate()([shared(inputs), inner(shared(inputs)), keras.ops.tanh(inputs)])
    return keras.Model(inputs, layers.Dense(2)(joined))


def images() -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.RandomFlip(),
            layers.RandomRotation(0.1),
            layers.Conv2D(4, 3, padding="same"),
            layers.SpatialDropout2D(0.2),
            layers.DepthwiseConv2D(3),
            layers.MaxPooling2D(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


def sequences() -> Any:
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(10, 4, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True, dropout=0.1)),
            layers.GRU(3),
            layers.Dense(2),
        ]
    )


def attention() -> Any:
    inputs = keras.Input((6, 4))
    attended = layers.MultiHeadAttention(2, 2, dropout=0.1)(inputs, inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Add()([inputs, attended]))))


def adapted() -> Any:
    normalized = layers.Normalization()
    normalized.adapt(np.arange(24.0).reshape(3, 8))
    return keras.Sequential([keras.Input((8,)), normalized, layers.Dense(2)])


def look_up() -> Any:
    words = layers.StringLookup(vocabulary=["a", "b", "c"], output_mode="multi_hot")
    return keras.Sequential([keras.Input((3,), dtype="string"), words, layers.Dense(2)])


class Residual(layers.Layer):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.inner = layers.Dense(units, activation=lambda x: x * 0.5)
        self.lock = threading.Lock()

    def call(self, x: Any) -> Any:
        return x + self.inner(x)


def of_ones_own() -> Any:
    return keras.Sequential([keras.Input((8,)), Residual(8), layers.Dense(2)])


MODELS: list[Callable[[], Any]] = [dense, branches, images, sequences, attention, adapted]
if keras.backend.backend() == "tensorflow":
    MODELS.append(look_up)
OPTIMIZERS: list[Callable[[], Any]] = [
    lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    lambda: keras.optimizers.RMSprop(keras.optimizers.schedules.CosineDecay(0.1, 100), centered=True),
    lambda: keras.optimizers.AdamW(0.1, clipnorm=1.0),
    lambda: keras.optimizers.Adam(use_ema=True, amsgrad=True),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Lion(1e-4)),
    lambda: keras.optimizers.Adafactor(),
    lambda: keras.optimizers.Nadam(gradient_accumulation_steps=2),
]
COMPILED: list[dict[str, Any]] = [
    {"loss": "mse", "metrics": ["mae", keras.metrics.RootMeanSquaredError]},
    {"loss": keras.losses.Huber, "weighted_metrics": ["mse"]},
    {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
]


def state_of(make: Callable[[], Any], optimizer: Callable[[], Any], options: dict[str, Any], seed: int) -> PythonState:
    keras_session.begin_trial(seed)
    model = make()
    fresh = {name: _made(value) for name, value in options.items()}
    model.compile(optimizer(), **fresh)
    return read_python_state(model, find_slots(model))


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return [_made(each) for each in value]
    return value() if isinstance(value, type) else value


@pytest.mark.parametrize("options", COMPILED, ids=["mse", "huber", "classes"])
@pytest.mark.parametrize("make", MODELS)
def test_equal_models_of_two_trials_are_equal(make: Callable[[], Any], options: dict[str, Any]) -> None:
    for optimizer in OPTIMIZERS:
        first, second = (state_of(make, optimizer, options, seed) for seed in (1, 2))
        assert first.obstacle is None
        assert first.digest == second.digest


@pytest.mark.parametrize("make", MODELS)
def test_a_walk_meets_every_variable_that_keras_tracks_and_each_once(make: Callable[[], Any]) -> None:
    keras_session.begin_trial(1)
    model = make()
    model.compile(keras.optimizers.AdamW(use_ema=True), loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    found = [id(each.variable) for each in read_python_state(model).variables]
    tracked = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    assert {id(variable) for variable in tracked} <= set(found)
    assert len(found) == len(set(found))
    paths = [each.path for each in read_python_state(model).variables]
    assert len(paths) == len(set(paths))


def test_what_is_not_understood_is_named_and_no_digest_is_trusted() -> None:
    state = state_of(of_ones_own, OPTIMIZERS[0], COMPILED[0], 1)
    assert "lock" in str(state.obstacle)


def test_code_that_asks_for_chance_or_time_is_not_understood() -> None:
    def by_chance(true: Any, guess: Any) -> Any:
        return keras.ops.mean((true - guess) ** 2) * np.random.uniform()

    state = state_of(dense, OPTIMIZERS[0], {"loss": by_chance}, 1)
    assert "np.random.uniform" in str(state.obstacle)


def by_tensorflow(true: Any, guess: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.cast(true, "float32") - guess)) + tf.nn.l2_loss(tf.concat([guess, guess], 0))


def by_numpy(true: Any, guess: Any) -> Any:
    return keras.ops.mean(guess) * np.mean([1.0, 2.0]) * np.prod(guess.shape[1:]) * np.sqrt(2.0)


def by_jax(true: Any, guess: Any) -> Any:
    return jnp.mean(jax.nn.relu(true - guess)) + jax.vmap(jnp.sum)(guess)


@pytest.mark.parametrize("loss", [by_tensorflow, by_numpy, by_jax])
def test_code_that_calls_functions_of_libraries_is_understood(loss: Callable[..., Any]) -> None:
    states = [state_of(dense, OPTIMIZERS[0], {"loss": loss}, 1) for _ in range(2)]
    assert [state.obstacle for state in states] == [None, None]
    assert states[0].digest == states[1].digest


@pytest.mark.parametrize("made", [lambda f: np.vectorize(f), lambda f: jax.jit(f), lambda f: tf.function(f)])
def test_what_a_library_makes_of_a_users_function_is_not_known_by_name(made: Callable[..., Any]) -> None:
    def state_with(number: float) -> PythonState:
        held = made(lambda guess: guess * number)
        return state_of(dense, OPTIMIZERS[0], {"loss": lambda true, guess: held(guess)}, 1)

    one, other = state_with(1.0), state_with(2.0)
    assert one.obstacle or other.obstacle or one.digest != other.digest


def test_models_that_spare_the_same_variables_from_decay_are_equal() -> None:
    def spared(place: int) -> str:
        keras_session.begin_trial(place)
        model = dense()
        model.compile(keras.optimizers.AdamW(), loss="mse")
        model.optimizer.exclude_from_weight_decay(var_list=[model.layers[place].kernel], var_names=["bias"])
        state = read_python_state(model)
        assert state.obstacle is None
        return state.digest

    assert spared(0) == spared(0)
    assert spared(0) != spared(4)


class Holder(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.start = keras.initializers.HeNormal()

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1], 1), initializer=self.start)

    def call(self, x: Any) -> Any:
        return x @ self.scale


class Thrower(Holder):
    def call(self, x: Any) -> Any:
        return x @ self.scale + self.start((1,))


@pytest.mark.parametrize(("kind", "equal"), [(Holder, True), (Thrower, False)])
def test_an_initializer_whose_seed_was_drawn_makes_no_difference_where_no_step_uses_it(kind: Any, equal: bool) -> None:
    def make() -> Any:
        return keras.Sequential([keras.Input((8,)), kind()])

    first, second = (state_of(make, OPTIMIZERS[0], COMPILED[0], seed) for seed in (1, 2))
    assert first.obstacle is None
    assert (first.digest == second.digest) is equal


POWER = 1.0


def _as_global(value: float) -> Any:
    global POWER
    POWER = value

    @functools.wraps(keras.losses.mean_squared_error)
    def loss(true: Any, guess: Any) -> Any:
        return keras.losses.mean_squared_error(true, guess) * POWER

    return loss


def _as_history(value: float) -> Any:
    class Loss(keras.losses.Loss):
        def __init__(self) -> None:
            super().__init__()
            self.history = value

        def call(self, true: Any, guess: Any) -> Any:
            return keras.ops.mean((true - guess) ** 2) * self.history

    return Loss()


def _from_environment(value: float) -> Any:
    os.environ["BANDSTAND_TEST_POWER"] = str(value)
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * float(getenv("BANDSTAND_TEST_POWER", "1"))


def _as_member(value: float) -> Any:
    member = enum.Enum("Mode", {"A": value}).A
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * member.value


def _as_mask(value: float) -> Any:
    mask = np.ma.masked_array([1.0, 2.0], mask=[value > 2, False])
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * mask.sum()


def _as_ufunc(value: float) -> Any:
    scale = np.frompyfunc(lambda x: x * value, 1, 1)
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * float(scale(1.0))


def _as_pattern(value: float) -> Any:
    pattern = re.compile("a" * 300 + str(value))
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * len(pattern.pattern.split(".")[1])


@functools.lru_cache
def _remembered() -> float:
    return POWER


def _as_answer(value: float) -> Any:
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * _remembered() * value


def _on_a_class_of_keras(value: float) -> Any:
    keras.layers.Dense.power_of_test = value
    return lambda true, guess: keras.ops.mean((true - guess) ** 2) * keras.layers.Dense.power_of_test


def _as_default(value: float) -> Any:
    def loss(true: Any, guess: Any, power: float = value) -> Any:
        return keras.ops.mean((true - guess) ** 2) * power

    return loss


HIDDEN = [
    _as_global, _as_history, _from_environment, _as_member, _as_mask, _as_ufunc, _as_pattern, _as_answer,
    _on_a_class_of_keras, _as_default,
]  # fmt: skip


@pytest.mark.parametrize("hide", HIDDEN)
def test_a_number_is_found_wherever_code_hides_it_or_the_code_is_not_understood(hide: Callable[[float], Any]) -> None:
    def state(value: float) -> PythonState:
        keras_session.begin_trial(1)
        model = dense()
        model.compile(keras.optimizers.SGD(), loss=hide(value))
        return read_python_state(model, find_slots(model))

    first, second = state(1.5), state(4.0)
    assert first.digest != second.digest or (first.obstacle and second.obstacle)


class AsksItsDropout(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.drop = layers.Dropout(0.3)

    def call(self, x: Any) -> Any:
        return self.drop(x) * (3.0 if self.drop.get_config()["rate"] > 0.2 else 1.0)


def test_a_number_that_users_code_reads_is_no_slot() -> None:
    def make() -> Any:
        return keras.Sequential([keras.Input((8,)), AsksItsDropout(), layers.Dense(2)])

    assert [slot.attribute for slot in state_of(make, OPTIMIZERS[0], COMPILED[0], 1).slots] == []
