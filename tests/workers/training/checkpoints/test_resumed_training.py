"""A training that is cut off and resumed goes on as if it had never stopped."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from bandstand.search.protocol import Measurement, Verdict
from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_workers.messages import TrialUnwantedError
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.local_link import LocalLink

CODE = """
import keras
import numpy as np
from sklearn.datasets import load_digits


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {"train": (x[:400], y[:400]), "validation": (x[400:600], y[400:600])}


def build(params):
    layers = [keras.layers.Dense(32, activation="relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]
    model = keras.Sequential([*([keras.Input((64,))] if params["built"] else []), *layers, keras.layers.Dense(10)])
    if params["optimizer"] == "adam":
        optimizer = keras.optimizers.Adam(0.01)
    else:
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    return model


class DrawsNoise(keras.callbacks.Callback):
    # Changes the training by what it draws, as users' own augmentation does.
    def on_epoch_begin(self, epoch, logs=None):
        kernel = self.model.layers[-1].kernel
        kernel.assign_add(np.random.normal(0, 1e-3, kernel.shape))


def callbacks():
    return [
        DrawsNoise(),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=0.2),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, min_delta=0.3, restore_best_weights=True),
    ]
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "resumed_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "resumed_user", raising=False)
    return "resumed_user"


def spec_for(module: str, optimizer: str, built: bool = True, **settings: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "resumed",
            "model": f"{module}:build",
            "data": f"{module}:load",
            "callbacks": [f"{module}:callbacks"],
            "space": {
                "optimizer": {"type": "categorical", "choices": [optimizer]},
                "built": {"type": "categorical", "choices": [built]},
            },
            "sampler": "random",
            "pruner": "none",
            "max_epochs": 12,
            "batch_size": 48,
            "budget": {"trials": 1},
            "checkpoint_every": 1,
        }
        | settings
    )


def run(spec: StudySpec, folder: Path, dies_after: tuple[int, ...] = ()) -> tuple[Search, Any]:
    """The study's only trial, trained with its worker dying after each of these epochs."""
    search = Search(spec)
    training = LoadedStudy(spec)
    checkpoints: dict[int, str] = {}
    for death in (*dies_after, None):
        assignment = search.next()
        assert assignment is not None
        link = LocalLink(search, assignment, death)
        resume_uri = checkpoints.get(assignment.from_epoch)
        try:
            outcome = training.run(assignment, link, folder=str(folder), resume_uri=resume_uri)
            assert outcome.failure is None, outcome.failure
            search.finish(assignment.trial, assignment.attempt)
        except TrialUnwantedError:
            training.wait_for_checkpoints()
            link.take_checkpoints()
            search.lost(assignment.trial, assignment.attempt, "killed", blamed=False)
            outcome = None
        checkpoints |= link.checkpoints
    return search, outcome


def curve(search: Search) -> list[tuple[float, float, float]]:
    """(loss, val_loss, learning rate) of every epoch."""
    measured = [event for event in search.take_events() if type(event).__name__ == "Measured"]
    return [(event.metrics["loss"], event.metrics["val_loss"], event.learning_rate) for event in measured]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_trial_has_the_losses_of_an_uninterrupted_one(
    optimizer: str, user_module: str, tmp_path: Path
) -> None:
    spec = spec_for(user_module, optimizer)
    straight, _ = run(spec, tmp_path / "a")
    resumed, outcome = run(spec, tmp_path / "b", dies_after=(3, 6))
    expected, got = curve(straight), curve(resumed)
    # Both callbacks must have acted, or the test would not show that their state is carried over.
    assert expected[-1][2] < expected[0][2], "the plateau never lowered the learning rate"
    assert len(expected) < spec.max_epochs, "early stopping never stopped"
    assert len(got) == len(expected)
    for epoch, (before, after) in enumerate(zip(expected, got, strict=True), start=1):
        assert after == pytest.approx(before, rel=1e-5), f"epoch {epoch}"
    assert resumed.history.trials[0].reason == "early_stopping"
    assert outcome.model_uri is not None


def test_a_model_without_an_input_shape_resumes_too(user_module: str, tmp_path: Path) -> None:
    spec = spec_for(user_module, "adam", built=False, callbacks=[], max_epochs=4)
    straight, _ = run(spec, tmp_path / "a")
    resumed, _ = run(spec, tmp_path / "b", dies_after=(3,))
    for before, after in zip(curve(straight), curve(resumed), strict=True):
        assert after == pytest.approx(before, rel=1e-5)


def test_the_saved_model_has_the_weights_of_the_best_epoch_even_when_resumed(user_module: str, tmp_path: Path) -> None:
    objective = {"metric": "val_accuracy", "direction": "maximize"}
    spec = spec_for(user_module, "adam", objective=objective, callbacks=[])
    search, outcome = run(spec, tmp_path, dies_after=(4,))
    trial = search.history.trials[0]
    assert trial.values[-1] < max(trial.values), "the last epoch is the best, so this would show nothing"
    accuracy = LoadedStudy(spec).evaluate(outcome.model_uri, trial.params, "validation")["accuracy"]
    assert accuracy == pytest.approx(max(trial.values), abs=1e-6)


def test_a_trial_whose_worker_died_after_the_last_answer_still_gets_its_model(user_module: str, tmp_path: Path) -> None:
    spec = spec_for(user_module, "sgd", callbacks=[], max_epochs=3)
    search, outcome = run(spec, tmp_path, dies_after=(3,))
    trial = search.history.trials[0]
    assert (trial.attempt, trial.epochs, trial.reason) == (2, 3, "max_epochs")
    assert Path(outcome.model_uri).exists()
    loss = LoadedStudy(spec).evaluate(outcome.model_uri, trial.params, "validation")["loss"]
    assert loss == pytest.approx(min(trial.values), rel=1e-4)


def test_a_paused_trial_goes_on_where_it_stopped(user_module: str, tmp_path: Path) -> None:
    spec = spec_for(user_module, "adam", callbacks=[], max_epochs=5)
    straight, _ = run(spec, tmp_path / "a")
    search = Search(spec)
    assignment = search.next()
    assert assignment is not None
    link = LocalLink(search, assignment)
    report = link.report

    def report_and_stop(measurement: Measurement, *, wait: bool) -> Verdict | None:
        if measurement.epoch == 2:
            search.stop()
        return report(measurement, wait=wait)

    link.report = report_and_stop  # type: ignore[method-assign]
    training = LoadedStudy(spec)
    outcome = training.run(assignment, link, folder=str(tmp_path / "b"), resume_uri=None)
    assert outcome.action is Action.PAUSE
    training.wait_for_checkpoints()
    link.take_checkpoints()
    assert outcome.paused_at == search.history.trials[0].checkpoint_epoch
    search.paused(assignment.trial, assignment.attempt)
    resumed = Search.restore(spec, events := search.take_events())
    again = resumed.next()
    assert again is not None and again.from_epoch == search.history.trials[0].epochs
    second = LocalLink(resumed, again)
    training.run(again, second, folder=str(tmp_path / "b"), resume_uri=link.checkpoints[again.from_epoch])
    values = [event.value for event in [*events, *resumed.take_events()] if type(event).__name__ == "Measured"]
    assert values == pytest.approx([row[1] for row in curve(straight)], rel=1e-5)
