"""A user's project in a folder of its own, and the command line run in it as a user would."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from bandstand.errors import BandstandError, InputError, answer_to
from bandstand_spaces.toml_writer import make_toml

CODE = """
import os
import time

import keras
import numpy as np
from sklearn.datasets import load_digits


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {"train": (x[:600], y[:600]), "validation": (x[600:900], y[600:900]), "test": (x[900:1200], y[900:1200])}


def build(params):
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(params["units"], activation="relu"), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["rate"]), loss=loss, metrics=["accuracy"])
    return model


def build_slowly(params):
    # Long enough for a test to act while a model is made.
    time.sleep(0.7)
    return build(params)


def load_zeros():
    return {name: (np.ones((8, 1), "float32"), np.zeros((8, 1), "float32")) for name in ("train", "validation", "test")}


def build_overshooting(params):
    # Each epoch of one batch multiplies the weight by 1 - 2 * rate: near a rate of 1 it jumps from side to side of 0.
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(params["rate"]), loss="mse")
    return model


def build_for_keras_tuner(hp):
    params = {"units": hp.Int("units", 8, 32, step=8), "rate": hp.Float("rate", 1e-3, 1e-1, sampling="log")}
    if hp.Boolean("unsampled", default=True):
        hp.Choice("activation", ["relu", "tanh"])
    return build(params)


def load_mismatched():
    data = load()
    data["train"] = (data["train"][0], data["train"][1][:-7])
    return data


def build_that_raises(params):
    raise RuntimeError("no such layer")


def build_that_sometimes_raises(params):
    if params["units"] < 12:
        raise RuntimeError("too few units")
    return build(params)


class Raises(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        raise RuntimeError("no such layer")


def raises_in_training():
    return Raises()


class ToNaN(keras.callbacks.Callback):
    def __init__(self, units):
        super().__init__()
        self.units = units

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and self.units < 12:
            # Not the first one: oneDNN's relu takes NaN for 0.
            self.model.layers[-1].kernel.assign(self.model.layers[-1].kernel * np.nan)


def nan_in_small_models(params):
    return ToNaN(params["units"])


class Adds(keras.callbacks.Callback):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = 1.0


def unstorable_in_small_models(params):
    return [Adds("a\\0b")] if params["units"] < 12 else []


class Dies(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            os.kill(os.getpid(), 9)


def dies_in_small_models(params):
    return [Dies()] if params["units"] < 12 else []


class Journal(keras.callbacks.Callback):
    # Says what was really trained, whatever anybody stored.
    def __init__(self, params, seconds):
        super().__init__()
        self.key = repr(sorted(params.items()))
        self.seconds = seconds

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(self.seconds)
        with open(os.path.join(os.path.dirname(__file__), "journal"), "a") as file:
            file.write(f"{self.key}\\t{epoch + 1}\\n")


def journal(params):
    return Journal(params, 0.05)


def slow_journal(params):
    # Epochs long enough for a test to act while they are trained.
    return Journal(params, 0.4)
"""

SETTINGS: dict[str, Any] = {
    "name": "digits",
    "model": "project:build",
    "data": "project:load",
    "sampler": "random",
    "pruner": "asha",
    "max_epochs": 4,
    "budget": {"epochs": 16},
    "seed": 3,
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "space": {
        "units": {"type": "int", "low": 4, "high": 40},
        "rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
    },
}


class Project:
    """A folder with `project.py` and study files."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "project.py").write_text(textwrap.dedent(CODE))

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {**SETTINGS, **changes}

    def write_study(self, **changes: Any) -> Path:
        settings = self.settings(**changes)
        path = self.folder / f"{settings['name']}.toml"
        path.write_text(make_toml(settings))
        return path

    def command(self, *arguments: str, timeout: float = 480) -> subprocess.CompletedProcess[str]:
        """Run `bandstand` with these arguments in the folder."""
        return subprocess.run(
            [sys.executable, "-m", "bandstand", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `bandstand` as a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "bandstand", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def refused(project: Project, *arguments: str, cause: type[BandstandError] = InputError) -> str:
    """The one line that the command says no with."""
    done = project.command(*arguments)
    assert done.returncode == answer_to(cause).exit_code, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("bandstand: ")
    assert "Traceback" not in done.stdout + done.stderr
    return lines[0].removeprefix("bandstand: ")
