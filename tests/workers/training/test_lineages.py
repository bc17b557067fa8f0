"""A child goes on from its parent's checkpoint: with the parent's weights, and with hyperparameters of its own."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand.trials.broken_study import HOPELESS
from bandstand.trials.events import Action
from bandstand_workers.messages import Outcome
from bandstand_workers.training.loaded_study import LoadedStudy

CODE = """
import keras
from sklearn.datasets import load_digits


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {"train": (x[:400], y[:400]), "validation": (x[400:600], y[400:600])}


def build(params):
    layers = [keras.Input((64,)), keras.layers.Dense(params["units"], activation="relu")]
    if params["dropout"]:
        layers.append(keras.layers.Dropout(params["dropout"]))
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    optimizer = keras.optimizers.SGD(params["rate"], momentum=params["momentum"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    return model


class Tells(keras.callbacks.Callback):
    heard = []

    def __init__(self, rate):
        super().__init__()
        self.rate, self.seen = rate, 0

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        self.heard.append((epoch + 1, self.rate, self.seen))


def callbacks(params):
    return Tells(params["rate"])
"""
PARAMS = {"units": 32, "dropout": 0.3, "rate": 0.05, "momentum": 0.9}
STILL = 1e-12
"""A learning rate with which nothing moves."""


class Listener:
    """Lets a trial train to where it was granted, then pauses it."""

    def __init__(self, until: int):
        self.until = until
        self.epochs: list[Measurement] = []
        self.written: SimpleQueue[tuple[int, str, str]] = SimpleQueue()

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        self.epochs.append(measurement)
        action = Action.PAUSE if measurement.epoch >= self.until else Action.CONTINUE
        return Verdict(action=action, until_epoch=self.until)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        self.written.put((epoch, uri, error))


@pytest.fixture(params=["auto", "fit"])
def training(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedStudy:
    (tmp_path / "lineage_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lineage_user", raising=False)
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "lineage",
                "model": "lineage_user:build",
                "data": "lineage_user:load",
                "space": {"rate": {"type": "float", "low": 1e-12, "high": 1.0, "log": True}},
                "sampler": "random",
                "pruner": "none",
                "max_epochs": 9,
                "budget": {"trials": 1},
                "trainer": request.param,
                "callbacks": ["lineage_user:callbacks"],
            }
        )
    )


def train(
    training: LoadedStudy,
    folder: Path,
    trial: int,
    params: dict[str, Any],
    *,
    until: int,
    uri: str | None = None,
    **how: Any,
) -> tuple[list[Measurement], str, Outcome]:
    """The epochs of a trial up to its pause, the checkpoint it leaves, and how it ended."""
    link = Listener(until)
    assignment = Assignment(
        trial=trial, attempt=1, params=params, seed=trial + 5, until_epoch=until, **{"from_epoch": 0} | how
    )
    outcome = training.run(assignment, link, folder=str(folder / f"trial-{trial}"), resume_uri=uri)
    training.wait_for_checkpoints()
    checkpoint = "" if link.written.empty() else link.written.get()[1]
    return link.epochs, checkpoint, outcome


def child_of(parent: int, at: int, **how: Any) -> dict[str, Any]:
    return {"from_epoch": at, "checkpoint_of": parent, "first_epoch": at + 1} | how


def test_a_child_begins_with_its_parent_s_weights_and_counts_on_from_its_epoch(
    training: LoadedStudy, tmp_path: Path
) -> None:
    parent, uri, _ = train(training, tmp_path, 0, PARAMS, until=3)
    child, _, outcome = train(
        training, tmp_path, 1, PARAMS | {"rate": STILL, "momentum": 0.0}, until=5, uri=uri, **child_of(0, 3)
    )
    assert outcome.action is Action.PAUSE, outcome.failure
    assert [measurement.epoch for measurement in child] == [4, 5]
    assert child[0].metrics["val_loss"] == pytest.approx(parent[-1].metrics["val_loss"], rel=1e-4)
    assert child[0].learning_rate == pytest.approx(STILL)


def test_a_child_has_the_learning_rate_that_it_was_given_not_its_parent_s(
    training: LoadedStudy, tmp_path: Path
) -> None:
    _, uri, _ = train(training, tmp_path, 0, PARAMS, until=2)
    child, _, _ = train(training, tmp_path, 1, PARAMS | {"rate": 0.2}, until=3, uri=uri, **child_of(0, 2))
    assert child[0].learning_rate == pytest.approx(0.2)


def test_a_child_s_callbacks_are_its_own_and_a_resumed_trial_s_go_on(training: LoadedStudy, tmp_path: Path) -> None:
    _, uri, _ = train(training, tmp_path, 0, PARAMS, until=2)
    train(training, tmp_path, 1, PARAMS | {"rate": 0.2}, until=3, uri=uri, **child_of(0, 2))
    train(training, tmp_path, 0, PARAMS, until=3, uri=uri, from_epoch=2, checkpoint_of=0)
    heard = sys.modules["lineage_user"].Tells.heard
    assert heard == [(1, 0.05, 1), (2, 0.05, 2), (3, 0.2, 1), (3, 0.05, 3)]


def test_a_child_that_changes_whether_there_is_dropout_or_momentum_takes_over_the_weights(
    training: LoadedStudy, tmp_path: Path
) -> None:
    parent, uri, _ = train(training, tmp_path, 0, PARAMS, until=2)
    changed = PARAMS | {"dropout": 0.0, "momentum": 0.0, "rate": STILL}
    child, _, outcome = train(training, tmp_path, 1, changed, until=3, uri=uri, **child_of(0, 2))
    assert outcome.failure is None, outcome.failure
    assert child[0].metrics["val_loss"] == pytest.approx(parent[-1].metrics["val_loss"], rel=1e-4)


def test_a_child_of_another_shape_fails_with_the_reason(training: LoadedStudy, tmp_path: Path) -> None:
    _, uri, _ = train(training, tmp_path, 0, PARAMS, until=1)
    _, _, outcome = train(training, tmp_path, 1, PARAMS | {"units": 16}, until=2, uri=uri, **child_of(0, 1))
    assert outcome.failure is not None and outcome.failure.kind == HOPELESS
    assert outcome.failure.message.startswith(
        "a child needs a model of the same shape as its parent's to take over the weights; got other shapes"
    )


def test_a_child_of_the_best_weights_begins_where_its_parent_was_best(training: LoadedStudy, tmp_path: Path) -> None:
    rates = (0.05, 0.05, 5.0)  # the third epoch spoils it
    parent, uri, _ = train(training, tmp_path, 0, PARAMS, until=3, learning_rates=rates)
    losses = [measurement.metrics["val_loss"] for measurement in parent]
    assert losses[1] == min(losses) < losses[2]
    still = PARAMS | {"rate": STILL}
    last, _, _ = train(training, tmp_path, 1, still, until=4, uri=uri, **child_of(0, 3))
    best, _, _ = train(training, tmp_path, 2, still, until=4, uri=uri, **child_of(0, 3, weights="best"))
    assert best[0].metrics["val_loss"] == pytest.approx(losses[1], rel=1e-4)
    assert last[0].metrics["val_loss"] > 1.1 * losses[1]


def test_learning_rates_that_the_strategy_sets_are_followed_epoch_by_epoch(
    training: LoadedStudy, tmp_path: Path
) -> None:
    rates = (0.1, 0.02, 0.5)
    parent, uri, _ = train(training, tmp_path, 0, PARAMS, until=2, learning_rates=rates)
    assert [measurement.learning_rate for measurement in parent] == pytest.approx([0.1, 0.02])
    resumed, _, _ = train(
        training, tmp_path, 0, PARAMS, until=3, uri=uri, from_epoch=2, checkpoint_of=0, learning_rates=rates
    )
    assert [measurement.learning_rate for measurement in resumed] == pytest.approx([0.5])


def test_the_model_of_a_paused_trial_s_best_epoch_is_made_from_its_checkpoint(
    training: LoadedStudy, tmp_path: Path
) -> None:
    parent, uri, _ = train(training, tmp_path, 0, PARAMS, until=3, learning_rates=(0.05, 0.05, 5.0))
    place = training.make_model(uri, PARAMS, 2, str(tmp_path / "model"))
    assert place is not None
    scores = training.evaluate(place, PARAMS, "validation")
    assert scores["loss"] == pytest.approx(parent[1].metrics["val_loss"], rel=1e-4)
    assert training.make_model(uri, PARAMS, 3, str(tmp_path / "other")) is None
