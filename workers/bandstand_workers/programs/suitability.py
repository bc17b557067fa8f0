"""Why a training must go through `fit`: what a compiled epoch cannot do.

Knows Keras's hooks. Must not know programs.
"""

from __future__ import annotations

from typing import Any

import keras

from bandstand_workers.programs.overriding import overrides

__all__ = ["reason_for_fit"]

_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def reason_for_fit(model: Any, callbacks: list[Any]) -> str | None:
    """Why this model with these callbacks of the user's cannot be trained by compiled epochs; None if it can."""
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return f"compiled epochs support TensorFlow and JAX, not {keras.backend.backend()}"
    if model.run_eagerly:
        return "the model is compiled with run_eagerly"
    for name in ("fit", "evaluate", "make_train_function", "make_test_function"):
        if overrides(model, keras.Model, name):
            return f"{type(model).__name__} has its own {name}"
    if keras.backend.backend() == "tensorflow" and _is_distributed(model):
        return "the model has a distribution strategy"
    if keras.distribution.distribution() is not None:
        return "a distribution is set in keras.distribution"
    for callback in callbacks:
        if _acts_on_batches(callback):
            return f"the callback {type(callback).__name__} acts on batches"
    return None


def _is_distributed(model: Any) -> bool:
    import tensorflow as tf

    return bool(model.distribute_strategy is not tf.distribute.get_strategy() or tf.distribute.has_strategy())


def _acts_on_batches(callback: Any) -> bool:
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch":
        return False  # its hook looks at the batch number and does nothing
    return overrides(callback, keras.callbacks.Callback, *_BATCH_HOOKS)
