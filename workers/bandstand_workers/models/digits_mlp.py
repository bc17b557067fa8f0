"""A multilayer perceptron for the 8x8 digits of scikit-learn."""

from typing import Any

import keras


def build(params: dict[str, Any]) -> keras.Model:
    """A compiled classifier of 64 pixel values into 10 digits.

    Args:
        params: layers, units, dropout, optimizer with its momentum and nesterov (sgd) or beta_1 (adam), learning_rate.
    """
    model = keras.Sequential([keras.Input((64,))])
    for _ in range(params["layers"]):
        model.add(keras.layers.Dense(params["units"], activation="relu"))
        model.add(keras.layers.Dropout(params["dropout"]))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=_make_optimizer(params), loss=keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"]
    )
    return model


def _make_optimizer(params: dict[str, Any]) -> keras.optimizers.Optimizer:
    if params["optimizer"] == "sgd":
        return keras.optimizers.SGD(params["learning_rate"], momentum=params["momentum"], nesterov=params["nesterov"])
    return keras.optimizers.Adam(params["learning_rate"], beta_1=params["beta_1"])
