"""Data loaded as a trainer loads them, from loaders that tests make up, and models that take them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from bandstand.errors import InputError
from bandstand.study.study_spec import StudySpec
from bandstand_workers.training.data.loading import LoadedData, load_data

ROWS = 64
RNG = np.random.default_rng(0)
Y = RNG.random(ROWS)
FRAME = pd.DataFrame({"area": RNG.random(ROWS), "rooms": RNG.integers(0, 5, ROWS), "old": RNG.random(ROWS) > 0.5})
TEXTS = ["a b", "b c"] * (ROWS // 2)
X = RNG.random((ROWS, 3))


def loaded(splits: Any, **changes: Any) -> LoadedData:
    """As a trainer loads what a loader returns, or makes."""
    module = ModuleType("loader_of_test")
    module.load = splits if callable(splits) else lambda: splits  # type: ignore[attr-defined]
    sys.modules["loader_of_test"] = module
    settings = {
        "name": "loaded", "model": "loader_of_test:build", "data": "loader_of_test:load", "max_epochs": 1,
        "budget": {"trials": 1}, "space": {"units": {"type": "int", "low": 1, "high": 2}},
    }  # fmt: skip
    return load_data(StudySpec.model_validate(settings | changes))


def train_of(x: Any, y: Any = Y, **changes: Any) -> tuple[Any, ...]:
    """The train split of a data set with these inputs and labels."""
    return tuple(loaded({"train": (x, y), "validation": (x, y)}, **changes).splits["train"])


def loaded_from(module: str, seed: int) -> LoadedData:
    """As a trainer loads what this module's `load` returns, for a study with this seed."""
    settings = {
        "name": "loaded", "model": f"{module}:build", "data": f"{module}:load", "max_epochs": 1,
        "budget": {"trials": 1}, "space": {"units": {"type": "int", "low": 1, "high": 2}}, "seed": seed,
    }  # fmt: skip
    return load_data(StudySpec.model_validate(settings))


def refusal(splits: Any, **changes: Any) -> str:
    """The one short line with which the loader's result is refused."""
    with pytest.raises(InputError) as error:
        loaded(splits, **changes)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 420, line
    return line


def numeric(width: int) -> Any:
    """A model of numbers, always with the same weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((width,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


def of_text() -> Any:
    """A model of texts, always with the same weights."""
    keras.utils.set_random_seed(1)
    words = keras.layers.TextVectorization(vocabulary=["a", "b", "c"], output_sequence_length=2)
    model = keras.Sequential([keras.Input((), dtype="string"), words, keras.layers.Embedding(6, 2)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse")
    return model


def fitted(build: Callable[[], Any], x: Any, y: Any) -> float:
    """The loss of an epoch of Keras's own loop."""
    return float(build().fit(x, y, shuffle=False, verbose=0).history["loss"][0])


def both(x: Any, y: Any = Y) -> dict[str, Any]:
    """A data set of two equal splits."""
    return {"train": (x, y), "validation": (x, y)}
