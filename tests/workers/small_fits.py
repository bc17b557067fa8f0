"""Trainings of seconds by `fit`, and what callbacks saw of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

STEPS = 7
"""Batches in an epoch of `fitted`: six full ones and a shorter one."""


def make_model(rate: Any = 0.1, optimizer: str = "SGD", **options: Any) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
    model.compile(getattr(keras.optimizers, optimizer)(rate, **options), loss="mse")
    return model


class Recorder(keras.callbacks.Callback):
    """What callbacks before it have left behind at the beginning of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []
        self.weights: list[list[Any]] = []
        self.optimizer: list[list[Any]] = []
        self.losses: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))
        self.weights.append(self.model.get_weights())
        self.optimizer.append([keras.ops.convert_to_numpy(v).copy() for v in self.model.optimizer.variables])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(logs["val_loss"])


def fitted(model: Any, *callbacks: Any, epochs: int = 8, initial_epoch: int = 0) -> Recorder:
    rng = np.random.default_rng(0)
    x = rng.random((26, 3), dtype="float32")
    recorder = Recorder()
    model.fit(x, x[:, :1], batch_size=4, shuffle=False, epochs=epochs, initial_epoch=initial_epoch, verbose=0,
              validation_data=(x, x[:, :1]), callbacks=[*callbacks, recorder])  # fmt: skip
    return recorder
