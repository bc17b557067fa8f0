"""A KerasTuner `build_model(hp)` as a study's model: unchanged, from its space to trained epochs."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.context import Context
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_spaces import SearchSpace
from bandstand_workers.messages import Outcome
from bandstand_workers.training.loaded_study import LoadedStudy
from bandstand_workers.training.user_code.calling import Builder

CODE = """
import keras
import numpy as np


def load():
    rng = np.random.default_rng(0)
    x = rng.random((120, 6), dtype="float32")
    y = (x[:, 0] > 0.5).astype("int32")
    return {"train": (x[:80], y[:80]), "validation": (x[80:], y[80:])}


def build_model(hp):
    model = keras.Sequential([keras.Input((6,))])
    for i in range(hp.Int("num_layers", 1, 3)):
        model.add(
            keras.layers.Dense(
                units=hp.Int(f"units_{i}", min_value=4, max_value=16, step=4),
                activation=hp.Choice("activation", ["relu", "tanh"]),
            )
        )
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(rate=hp.Float("rate", 0, 0.5, step=0.25)))
    model.add(keras.layers.Dense(2, activation="softmax"))
    optimizer = hp.Choice("optimizer", ["sgd", "adam"])
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.0, 0.9)
    if optimizer == "sgd":
        chosen = keras.optimizers.SGD(learning_rate, momentum=momentum)
    else:
        chosen = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer=chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build(params):
    return params
"""


class Listener:
    """Lets a training go on to epoch 2."""

    def __init__(self) -> None:
        self.reported: list[Measurement] = []

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        self.reported.append(measurement)
        return Verdict(action=Action.STOP if measurement.epoch >= 2 else Action.CONTINUE, until_epoch=2)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        assert not error


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "keras_tuner_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras_tuner_user", raising=False)
    return importlib.import_module("keras_tuner_user")


def training_in(space: SearchSpace, model: Any) -> LoadedStudy:
    spec = {
        "name": "from-keras-tuner",
        "model": model,
        "data": "keras_tuner_user:load",
        "space": space,
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "sampler": "random",
        "pruner": "none",
        "max_epochs": 2,
        "budget": {"trials": 1},
    }
    return LoadedStudy(StudySpec.model_validate(spec))


def train(training: LoadedStudy, folder: Path, number: int, params: dict[str, Any]) -> tuple[Outcome, Listener]:
    listener = Listener()
    assignment = Assignment(trial=number, attempt=1, params=params, seed=number, from_epoch=0, until_epoch=2)
    outcome = training.run(assignment, listener, folder=str(folder), resume_uri=None)
    assert outcome.failure is None, outcome.failure
    return outcome, listener


def test_a_keras_tuner_builder_trains_with_params_of_its_space(module: Any, tmp_path: Path) -> None:
    space = SearchSpace.from_keras_tuner(module.build_model)
    assert [name for name, _, _ in space.flat()] == [
        "num_layers", "units_0", "activation", "dropout", "optimizer", "momentum", "lr", "units_1", "units_2", "rate"
    ]  # fmt: skip
    training = training_in(space, module.build_model)
    assert training.spec.model == "keras_tuner_user:build_model"
    training.check()
    for number in range(3):
        outcome, listener = train(training, tmp_path, number, space.sample(np.random.default_rng(number)))
        assert outcome.defaulted == ()
        assert [measurement.epoch for measurement in listener.reported] == [1, 2]
        assert 0 <= listener.reported[-1].metrics["val_accuracy"] <= 1


def test_a_space_that_leaves_something_out_trains_with_its_default_and_says_so(module: Any, tmp_path: Path) -> None:
    space = SearchSpace.from_json('{"lr": {"type": "float", "low": 0.001, "high": 0.01}}')
    outcome, _ = train(training_in(space, module.build_model), tmp_path, 0, {"lr": 0.005})
    assert outcome.defaulted == (
        "num_layers = 1",
        "units_0 = 4",
        "activation = 'relu'",
        "dropout = False",
        "optimizer = 'sgd'",
        "momentum = 0.0",
    )


def test_the_values_of_params_reach_the_model(module: Any) -> None:
    params = {"num_layers": 2, "units_0": 8, "units_1": 12, "units_2": 16, "activation": "tanh", "dropout": True}
    params |= {"rate": 0.25, "optimizer": "sgd", "momentum": 0.5, "lr": 0.002}
    model = Builder("keras_tuner_user:build_model")(params, Context(seed=0))
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [8, 12, 2]
    assert model.layers[0].activation.__name__ == "tanh"
    assert model.layers[2].rate == 0.25
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)
    assert model.optimizer.momentum == 0.5


def test_a_builder_of_params_is_given_them(module: Any) -> None:
    params = {"units": 8}
    assert Builder("keras_tuner_user:build")(params, Context(seed=0)) is params
