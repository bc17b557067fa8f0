"""Callbacks that change a model in Python: a resumed trial is what a whole one is, or the user is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bandstand.search.protocol import Assignment
from bandstand.study.study_spec import StudySpec
from bandstand_workers.messages import Outcome
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.pausing_link import PausingLink

CODE = """
import keras
import numpy as np


class Scale(keras.layers.Layer):
    factor = 1.0

    def call(self, x):
        return x * self.factor


def load():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 5)).astype("float32")
    y = x[:, :1] - x[:, 1:2]
    return {"train": (x[:80], y[:80]), "validation": (x[80:], y[80:])}


def build(params):
    layers = [keras.layers.Dense(8, activation="tanh"), Scale(), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.compile(keras.optimizers.Adam(0.02), loss="mse")
    return model


class At(keras.callbacks.Callback):
    def __init__(self, when, change):
        super().__init__()
        self.when, self.change = when, change

    def on_train_begin(self, logs=None):
        if self.when == "train begin":
            self.change(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        if self.when == f"{epoch} begin":
            self.change(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if self.when == f"{epoch} end":
            self.change(self.model)


def freeze(model):
    model.layers[0].trainable = False


def rate(model):
    model.layers[2].rate = 0.7


def factor(model):
    model.layers[1].factor = 3.0


def callbacks(params):
    if params["change"] == "of Keras's":
        return [
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=9, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=1),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        ]
    return [At(params["when"], globals()[params["change"]])]
"""

EPOCHS, PAUSE = 4, 2


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "model_watch_user"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def training_of(module: str, trainer: str) -> LoadedStudy:
    space = {"when": {"type": "categorical", "choices": ["a"]}, "change": {"type": "categorical", "choices": ["a"]}}
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "watched",
                "model": f"{module}:build",
                "data": f"{module}:load",
                "callbacks": [f"{module}:callbacks"],
                "space": space,
                "sampler": "random",
                "pruner": "none",
                "max_epochs": EPOCHS,
                "batch_size": 16,
                "budget": {"trials": 1},
                "trainer": trainer,
            }
        )
    )


def train(
    training: LoadedStudy, folder: Path, params: dict[str, str], until: int, before: PausingLink | None = None
) -> tuple[PausingLink, Outcome]:
    link, from_epoch = PausingLink(until, pauses=until < EPOCHS), 0 if before is None else PAUSE
    assignment = Assignment(
        trial=0,
        attempt=1,
        params=params,
        seed=5,
        from_epoch=from_epoch,
        until_epoch=until,
        checkpoint_of=None if before is None else 0,
    )
    outcome = training.run(
        assignment, link, folder=str(folder), resume_uri=None if before is None else before.checkpoint
    )
    training.wait_for_checkpoints()
    assert outcome.failure is None, outcome.failure
    assert outcome.refusal is not None or bool(outcome.program_signature) == (training.spec.trainer == "auto")
    return link, outcome


def losses(link: PausingLink) -> list[float]:
    return [epoch["loss"] for epoch in link.epochs]


def whole_and_resumed(
    module: str, trainer: str, folder: Path, params: dict[str, str]
) -> tuple[list[float], list[float], list[str]]:
    """Losses of a trial without a pause, those of one that another process goes on with, and what is told of it."""
    whole, alone = train(training_of(module, trainer), folder / "whole", params, EPOCHS)
    first, paused = train(training_of(module, trainer), folder / "parts", params, PAUSE)
    second, ended = train(training_of(module, trainer), folder / "parts", params, EPOCHS, first)
    if alone.notes:
        assert paused.notes or ended.notes
    refused = [] if ended.refusal is None else [ended.refusal.reason]
    return losses(whole), losses(first) + losses(second), [*paused.notes, *ended.notes, *refused]


@pytest.mark.parametrize("trainer", ["auto", "fit"])
@pytest.mark.parametrize(
    ("when", "change"), [("0 begin", "factor"), ("0 begin", "freeze"), ("2 begin", "rate"), ("0 end", "factor")]
)
def test_what_makes_a_resumed_trial_differ_is_told(
    when: str, change: str, trainer: str, module: str, tmp_path: Path
) -> None:
    whole, resumed, told = whole_and_resumed(module, trainer, tmp_path, {"when": when, "change": change})
    assert [text for text in told if "callback changes" in text] or resumed == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize(("when", "change"), [("2 begin", "freeze"), ("2 begin", "factor"), ("3 begin", "rate")])
def test_compiled_epochs_that_go_on_do_not_see_what_a_whole_training_does_not_see(
    change: str, when: str, module: str, tmp_path: Path
) -> None:
    whole, resumed, _ = whole_and_resumed(module, "auto", tmp_path, {"when": when, "change": change})
    plain, _ = train(training_of(module, "fit"), tmp_path / "fit", {"when": when, "change": change}, EPOCHS)
    assert whole == pytest.approx(losses(plain), rel=1e-4)
    assert resumed == pytest.approx(losses(plain), rel=1e-4)


@pytest.mark.parametrize(
    ("trainer", "when", "change"),
    [("auto", "train begin", "factor"), ("fit", "train begin", "freeze"), ("auto", "", "of Keras's")],
)
def test_what_makes_no_difference_is_not_noted(
    when: str, change: str, trainer: str, module: str, tmp_path: Path
) -> None:
    whole, resumed, told = whole_and_resumed(module, trainer, tmp_path, {"when": when, "change": change})
    assert resumed == pytest.approx(whole, rel=1e-4)
    assert not told
