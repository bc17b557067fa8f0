"""The studies that a storm runs: one for each kind of strategy, as small as a real one can be.

Knows settings and the user's code of these studies. Must not know how they are run or killed.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from bandstand_spaces.toml_writer import make_toml

__all__ = ["EPOCH_SECONDS", "JOURNAL", "STUDIES", "make_project", "settings_of", "write_study"]

JOURNAL = "STORM_JOURNAL"
"""The variable with the file into which trainers write what they have really trained."""
EPOCH_SECONDS = "STORM_EPOCH_SECONDS"
"""The variable with how much longer an epoch takes."""

CODE = f"""
import os
import time

import keras
from sklearn.datasets import load_digits


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {{"train": (x[:300], y[:300]), "validation": (x[600:750], y[600:750]), "test": (x[900:1000], y[900:1000])}}


def build(params):
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(params["units"], activation="relu"), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["rate"]), loss=loss, metrics=["accuracy"])
    return model


class Journal(keras.callbacks.Callback):
    # Says what was really trained, whatever anybody stored.
    def __init__(self, params):
        super().__init__()
        self.key = repr(sorted(params.items()))

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(float(os.environ.get("{EPOCH_SECONDS}", 0)))
        if os.environ.get("{JOURNAL}"):
            with open(os.environ["{JOURNAL}"], "a") as file:
                file.write(f"{{self.key}}\\t{{epoch + 1}}\\n")


def journal(params):
    return Journal(params)
"""

_SPACE = {
    "units": {"type": "int", "low": 4, "high": 40},
    "rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
}
_POPULATION = {"population": 4, "interval": 2}

STUDIES: dict[str, dict[str, Any]] = {
    "random": {"sampler": "random", "pruner": "asha", "pruner_options": {"min_epochs": 1}},
    "umda": {"sampler": "umda", "pruner": "asha", "pruner_options": {"min_epochs": 1}},
    "tpe": {"sampler": "tpe", "pruner": "none", "sampler_options": {"startup_trials": 3}, "max_epochs": 4},
    "hyperband": {"sampler": "random", "pruner": "hyperband"},
    "promote": {"sampler": "random", "pruner": "asha-promote", "pruner_options": {"min_epochs": 1}},
    "pbt": {"sampler": "pbt", "pruner": "", "sampler_options": _POPULATION | {"explore": ["rate"]}},
    "pb2": {"sampler": "pb2", "pruner": "", "sampler_options": _POPULATION | {"explore": ["rate"]}},
    "restarts": {
        "sampler": "lr-restarts",
        "pruner": "",
        "sampler_options": {"parameter": "rate", "cycle_epochs": 2, "result": "average"},
    },
    "bohb": {"sampler": "bohb", "pruner": "", "sampler_options": {"startup_trials": 3}},
    "grid": {
        "sampler": "grid",
        "sampler_options": {"points": 4},
        "pruner": "median",
        "max_epochs": 4,
    },
    "cmaes": {"sampler": "cmaes", "pruner": "none", "sampler_options": {"population": 4}, "max_epochs": 4},
    "gp": {
        "sampler": "gp",
        "pruner": "asha",
        "pruner_options": {"min_epochs": 1},
        "sampler_options": {"startup_trials": 4, "fit_trials": 4, "candidates": 10, "restarts": 0},
    },
    "halving": {"sampler": "qmc", "pruner": "successive-halving", "pruner_options": {"min_epochs": 1}},
    "evolution": {"sampler": "evolution", "pruner": "median", "sampler_options": {"population": 4}},
    "often": {"sampler": "random", "pruner": "asha", "pruner_options": {"min_epochs": 1}, "checkpoint_every": 1},
    "tune": {"sampler": "random", "pruner": "asha", "pruner_options": {"min_epochs": 1}, "executor": "tune"},
    "tune-pbt": {"sampler": "tune-pbt", "pruner": "", "sampler_options": _POPULATION, "executor": "tune"},
}
"""By name, what sets each study apart from the others."""


def settings_of(kind: str, name: str, *, seed: int, epochs: int) -> dict[str, Any]:
    """All settings of a study of a kind of `STUDIES`."""
    return {
        "name": name,
        "model": "project:build",
        "data": "project:load",
        "callbacks": ["project:journal"],
        "max_epochs": 6,
        "budget": {"epochs": epochs},
        "seed": seed,
        "max_attempts": 1000,  # a storm kills trainers that are not to blame, and nobody can tell
        "objective": {"metric": "val_loss", "direction": "minimize"},
        "space": _SPACE,
    } | STUDIES[kind]


def make_project(folder: Path) -> None:
    """The user's folder, with their code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.py").write_text(textwrap.dedent(CODE))


def write_study(folder: Path, settings: dict[str, Any]) -> Path:
    """The study's file in the user's folder."""
    path = folder / f"{settings['name']}.toml"
    path.write_text(make_toml(settings))
    return path
