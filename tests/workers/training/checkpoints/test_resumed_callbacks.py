"""Training with callbacks that is cut off and resumed in a new process goes on as if it had never stopped."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Measured
from bandstand_workers.messages import Outcome, TrialUnwantedError
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.local_link import LocalLink

CODE = '''
import random
from collections import Counter, deque
from dataclasses import dataclass, field

import keras
import numpy as np
from bandstand.learning_rates import Cycle, Reset
from bandstand_workers.learning_rates import RandomRestarts, WarmRestarts
from sklearn.datasets import load_digits


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {"train": (x[:300], y[:300]), "validation": (x[300:450], y[300:450])}


def build(params):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=loss, metrics=["accuracy"])
    return model


@dataclass
class Progress:
    best: float = float("inf")
    epochs: list = field(default_factory=list)


class Mood:
    def __init__(self):
        self.level = 1.0


class Own(keras.callbacks.Callback):
    """The learning rate of every epoch depends on all that it has gone through."""

    def __init__(self):
        super().__init__()
        self.counter, self.losses, self.by_epoch = 0, [], {}
        self.rng, self.generator = random.Random(3), np.random.default_rng(4)
        self.window, self.seen = deque(maxlen=3), Counter()
        self.progress, self.mood = Progress(), Mood()
        self.moving = np.zeros(2)

    def on_epoch_end(self, epoch, logs=None):
        self.counter += 1
        self.losses.append(logs["loss"])
        self.by_epoch[epoch, "loss"] = logs["loss"]
        self.window.append(self.rng.random())
        self.seen[epoch % 2] += 1
        self.progress.best = min(self.progress.best, logs["loss"])
        self.progress.epochs.append(epoch)
        self.mood.level *= 0.9
        self.moving += self.generator.random(2)
        factor = 1 + self.counter + sum(self.losses) + sum(self.by_epoch.values()) + sum(self.window) + self.seen[1]
        factor += self.progress.best + len(self.progress.epochs) + self.mood.level + self.moving.sum()
        self.model.optimizer.learning_rate = 1 / factor


def own():
    return Own()


def stopping():
    return [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, min_delta=0.3, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(monitor="val_accuracy", mode="max", factor=0.5, patience=1, min_delta=0.1),
    ]


def of_keras():
    return [
        keras.callbacks.CSVLogger("log.csv", append=True),
        keras.callbacks.ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None),
        keras.callbacks.TerminateOnNaN(),
    ]


def warm():
    return WarmRestarts(Cycle(shape="cosine", initial=0.1, epochs=3), restarts=2)


def restarts():
    reset = Reset(to="random", low=0.01, high=0.1, seed=3)
    return RandomRestarts(every_epochs=4, restarts=2, reset=reset, weights="best")


class Cannot(keras.callbacks.Callback):
    """Its rate depends on its epochs, and a generator is no data."""

    def on_train_begin(self, logs=None):
        self.epochs, self.rates = 0, None

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        self.rates = self.rates or (0.1 / k for k in range(1, 99))
        self.model.optimizer.learning_rate = next(self.rates)


def cannot():
    return Cannot()
'''


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "callbacks_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return "callbacks_user"


def spec_for(module: str, callbacks: str, **settings: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "callbacks",
            "model": f"{module}:build",
            "data": f"{module}:load",
            "callbacks": [f"{module}:{callbacks}"],
            "space": {"unused": {"type": "float", "low": 0.0, "high": 1.0}},
            "sampler": "random",
            "pruner": "none",
            "max_epochs": 10,
            "batch_size": 50,
            "budget": {"trials": 1},
            "checkpoint_every": 1,
        }
        | settings
    )


def run(spec: StudySpec, folder: Path, dies_after: tuple[int, ...] = ()) -> tuple[list[Measured], list[Outcome]]:
    """The study's only trial; after each of these epochs its process dies, and another one goes on from the file."""
    search, uris, outcomes = Search(spec), {}, []
    for death in (*dies_after, None):
        assignment = search.next()
        assert assignment is not None
        sys.modules.pop("callbacks_user", None)  # a new process imports it anew, and makes new callbacks
        training, link = LoadedStudy(spec), LocalLink(search, assignment, death)
        try:
            uri = uris.get(assignment.from_epoch)
            outcomes.append(training.run(assignment, link, folder=str(folder), resume_uri=uri))
            assert outcomes[-1].failure is None and outcomes[-1].refusal is None, outcomes[-1]
            search.finish(assignment.trial, assignment.attempt)
        except TrialUnwantedError:
            training.wait_for_checkpoints()
            link.take_checkpoints()
            search.lost(assignment.trial, assignment.attempt, "killed", blamed=False)
        uris |= link.checkpoints
    return [event for event in search.take_events() if isinstance(event, Measured)], outcomes


def assert_same_curves(got: list[Measured], expected: list[Measured]) -> None:
    assert [event.epoch for event in got] == [event.epoch for event in expected]
    for after, before in zip(got, expected, strict=True):
        assert after.learning_rate == pytest.approx(before.learning_rate, rel=1e-5), f"epoch {after.epoch}"
        assert after.metrics == pytest.approx(before.metrics, rel=1e-5), f"epoch {after.epoch}"


@pytest.mark.parametrize("trainer", ["fit", "auto"])
@pytest.mark.parametrize("callbacks", ["own", "stopping", "of_keras", "warm", "restarts"])
def test_a_resumed_trial_has_the_epochs_of_an_uninterrupted_one(
    callbacks: str, trainer: str, user_module: str, tmp_path: Path
) -> None:
    spec = spec_for(user_module, callbacks, trainer=trainer)
    straight, _ = run(spec, tmp_path / "a")
    resumed, outcomes = run(spec, tmp_path / "b", dies_after=(3, 6))
    rates = {event.learning_rate for event in straight}
    assert len(rates) > 1, "the callback did nothing, so this would show nothing"
    assert_same_curves(resumed, straight)
    assert outcomes[-1].unkept == ()


def test_a_log_that_is_appended_to_goes_on_with_the_epoch_trained_again(user_module: str, tmp_path: Path) -> None:
    run(spec_for(user_module, "of_keras", trainer="fit", max_epochs=5), tmp_path / "a", dies_after=(3,))
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "2", "3", "4"]


def test_a_callback_that_cannot_be_kept_begins_anew_as_a_whole_and_is_named(user_module: str, tmp_path: Path) -> None:
    spec = spec_for(user_module, "cannot", max_epochs=6)
    epochs, outcomes = run(spec, tmp_path, dies_after=(3,))
    rates = [event.learning_rate for event in epochs]
    # Its process died in epoch 3, whose second training is not recorded again.
    assert rates == pytest.approx([0.1, 0.1 / 2, 0.1 / 3, 0.1 / 2, 0.1 / 3, 0.1 / 4])
    assert outcomes[-1].unkept == ("Cannot.rates",)
