"""A multilayer perceptron for California housing prices."""

from typing import Any

import keras


def build(params: dict[str, Any]) -> keras.Model:
    """A compiled regression of 8 standardized features on one price, with mean squared error as loss.

    Args:
        params: layers, units, activation, l2 (weight of the penalty on the hidden layers' kernels; part of the loss,
            and so of val_loss), learning_rate.
    """
    model = keras.Sequential([keras.Input((8,))])
    for _ in range(params["layers"]):
        model.add(
            keras.layers.Dense(
                params["units"], activation=params["activation"], kernel_regularizer=keras.regularizers.L2(params["l2"])
            )
        )
    model.add(keras.layers.Dense(1))
    model.compile(optimizer=keras.optimizers.Adam(params["learning_rate"]), loss="mse", metrics=["mae"])
    return model
