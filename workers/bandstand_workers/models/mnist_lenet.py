"""LeNet-5 with its sizes set free, for 28x28 images in ten classes.

After LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86 (1998); with
max pooling, and one hidden dense layer with dropout in place of two.
"""

from typing import Any

import keras


def build(params: dict[str, Any]) -> keras.Model:
    """A compiled classifier of images of shape (28, 28, 1) into 10 classes.

    Args:
        params: filters (of the first convolution; the second has twice as many), kernel_size, activation, dense_units,
            dropout, optimizer with its momentum and nesterov (sgd) or beta_1 (adam), learning_rate.
    """
    kernel_size, activation = params["kernel_size"], params["activation"]
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(params["filters"], kernel_size, padding="same", activation=activation),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(2 * params["filters"], kernel_size, activation=activation),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(params["dense_units"], activation=activation),
            keras.layers.Dropout(params["dropout"]),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=_make_optimizer(params), loss=keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"]
    )
    return model


def _make_optimizer(params: dict[str, Any]) -> keras.optimizers.Optimizer:
    if params["optimizer"] == "sgd":
        return keras.optimizers.SGD(params["learning_rate"], momentum=params["momentum"], nesterov=params["nesterov"])
    return keras.optimizers.Adam(params["learning_rate"], beta_1=params["beta_1"])
