"""Canaries for TensorFlow's private parts: each fails on the day on which it changes what one of ours stands on."""

from __future__ import annotations

import gc
import weakref

import keras
import pytest
import tensorflow as tf

from bandstand_workers.internals import tensorflow_parts
from tests.internals.processes import told_by

DRAWS = """
    import json
    import keras
    import tensorflow as tf


    def draws():
        shuffled = tf.data.Dataset.range(20).shuffle(20)
        return [
            tf.random.normal((3,)).numpy().tolist(),
            tf.random.uniform((2,)).numpy().tolist(),
            [int(number) for number in shuffled],
        ]

"""
FRESH = """
    keras.utils.set_random_seed(7)
    print(json.dumps(draws()))
"""
AFTER_OTHERS = """
    from bandstand_workers.keras_session import begin_trial

    keras.utils.set_random_seed(3)
    draws(), draws()
    begin_trial(7)
    print(json.dumps(draws()))
"""

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras runs on another backend")


def test_a_seed_gives_stateful_operations_the_numbers_that_a_fresh_process_has() -> None:
    fresh, later = told_by(DRAWS + FRESH), told_by(DRAWS + AFTER_OTHERS)
    assert later == fresh, (
        f"TensorFlow {tf.__version__} keeps the seed of its eager context elsewhere than in _seed and _rng: see what "
        "Context._set_global_seed sets, and have tensorflow_parts.set_seed set the same, without emptying the caches"
    )


class Token:
    """Something that only a traced gradient holds."""


def traced_gradient() -> weakref.ref[Token]:
    """Trace a function with a gradient of its own, let go of it, and return a link to what that gradient held."""
    token = Token()

    @tf.custom_gradient
    def square(x):
        return x * x, lambda upstream, held=token: upstream * 2 * x

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = square(x)
        return tape.gradient(y, x)

    assert float(slope(tf.constant(3.0))) == 6.0
    return weakref.ref(token)


@on_tensorflow
def test_what_a_traced_gradient_holds_is_let_go_when_custom_gradients_are_forgotten() -> None:
    held = traced_gradient()
    gc.collect()
    assert held() is not None, (
        f"TensorFlow {tf.__version__} lets go of traced gradients by itself: tensorflow_parts.forget_custom_gradients "
        "is no longer needed"
    )
    tensorflow_parts.forget_custom_gradients()
    gc.collect()
    assert held() is None, (
        f"TensorFlow {tf.__version__} keeps traced gradients elsewhere, or names them otherwise, so that a trainer "
        "grows by 3 MB a trace: see custom_gradient.py for where and as what it registers them"
    )


@on_tensorflow
def test_gradients_that_tensorflow_registers_for_itself_are_not_forgotten() -> None:
    traced_gradient()
    tensorflow_parts.forget_custom_gradients()
    x = tf.constant([2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.softplus(x) * tf.exp(x)
    assert tape.gradient(y, x) is not None
