"""Schedules and restarts in trials: compiled epochs train as `fit` does, and a resumed trial as an unbroken one."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_workers.messages import TrialUnwantedError
from bandstand_workers.training.loaded_study import LoadedStudy

CODE = """
import keras
import numpy as np

from bandstand.learning_rates import Cycle, Reset
from bandstand_workers.learning_rates import LR_SCHEDULES, RandomRestarts, TableSchedule, WarmRestarts

STEPS = 7  # of 100 examples by 15


def load():
    rng = np.random.default_rng(0)
    x = rng.random((140, 8), dtype="float32")
    y = x[:, :1] - x[:, 1:2] * x[:, 2:3]
    return {"train": (x[:100], y[:100]), "validation": (x[100:], y[100:])}


def rate(params):
    kind = params["kind"]
    if kind in LR_SCHEDULES:
        return LR_SCHEDULES[kind](initial=0.05, epochs=9, warmup_epochs=2, every_epochs=2, steps_per_epoch=STEPS)
    return TableSchedule([0.05, 0.01, 0.03], steps_per_epoch=STEPS) if kind == "table" else params.get("rate", 0.05)


def build(params):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(6, activation="relu"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(rate(params), beta_1=params.get("beta_1", 0.8))
    model.compile(optimizer, loss="mse")
    return model


def make_callbacks(params):
    kind = params["kind"]
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=1.0)
    drawn = Reset(to="random", low=1e-3, high=1e-1, seed=3)
    if kind == "warm":
        cycle = Cycle(shape="cosine", initial=params.get("rate", 0.05), epochs=2)
        return WarmRestarts(cycle, restarts=2, multiplier=1.5, reset=drawn)
    if kind == "keep":
        return [plateau, RandomRestarts(every_epochs=4, restarts=1, reset=Reset())]
    if kind == "best":
        restarts = RandomRestarts(every_epochs=4, restarts=1, reset=drawn, weights="best", monitor="loss", mode="max")
        return [plateau, restarts]
    if kind == "fresh":
        fresh = lambda: build(params)
        return RandomRestarts(every_epochs=3, restarts=2, reset=drawn, weights="fresh", fresh_model=fresh)
    return []
"""
SCHEDULES = ("constant", "time", "exponential", "step", "cosine", "linear", "table")
CALLBACKS = ("warm", "keep", "best", "fresh")
EPOCHS = 9


class Link:
    """Lets a training go on to its last epoch, or vanishes as a killed worker would."""

    def __init__(self, dies_after: int | None = None):
        self.dies_after = dies_after
        self.curve: dict[int, tuple[float, float, float]] = {}
        self.checkpoints: dict[int, str] = {}

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        if measurement.epoch == self.dies_after:
            raise TrialUnwantedError("killed")
        assert measurement.learning_rate is not None
        metrics = measurement.metrics
        self.curve[measurement.epoch] = (measurement.learning_rate, metrics["loss"], metrics["val_loss"])
        action = Action.STOP if measurement.epoch == EPOCHS else Action.CONTINUE
        return Verdict(action=action, until_epoch=EPOCHS)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        assert not error
        self.checkpoints[epoch] = uri


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "rates_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rates_user", raising=False)
    return "rates_user"


def training_by(trainer: str) -> LoadedStudy:
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "rates",
                "model": "rates_user:build",
                "data": "rates_user:load",
                "callbacks": ["rates_user:make_callbacks"],
                "space": {"kind": {"type": "categorical", "choices": ["unused"]}},
                "objective": {"metric": "val_loss", "direction": "minimize"},
                "sampler": "random",
                "pruner": "none",
                "max_epochs": EPOCHS,
                "batch_size": 15,
                "budget": {"trials": 1},
                "trainer": trainer,
                "checkpoint_every": 1,
            }
        )
    )


def curve(
    training: LoadedStudy,
    folder: Path,
    kind: str,
    *deaths: int,
    trial: int = 0,
    last: LoadedStudy | None = None,
    **params: Any,
) -> list[tuple[float, float, float]]:
    """(learning rate, loss, val_loss) of each epoch, with the worker dying before it can report the given epochs.

    The last attempt is trained by `last`, where given.
    """
    epochs: dict[int, tuple[float, float, float]] = {}
    checkpoints: dict[int, str] = {}
    for attempt, death in enumerate((*deaths, None), start=1):
        if death is None and last is not None:
            training = last
        begin = max(checkpoints, default=0)
        link = Link(death)
        assignment = Assignment(
            trial=trial, attempt=attempt, params={"kind": kind} | params, seed=1, from_epoch=begin, until_epoch=EPOCHS,
            checkpoint_of=trial if begin else None,
        )  # fmt: skip
        try:
            outcome = training.run(assignment, link, folder=str(folder), resume_uri=checkpoints.get(begin))
            assert outcome.failure is None, outcome.failure
            assert outcome.reason_for_fit is None
        except TrialUnwantedError:
            assert death is not None
        training.wait_for_checkpoints()
        epochs |= link.curve
        checkpoints |= link.checkpoints
    assert sorted(epochs) == list(range(1, EPOCHS + 1))
    return [epochs[epoch] for epoch in sorted(epochs)]


def assert_same(one: list[tuple[float, float, float]], other: list[tuple[float, float, float]]) -> None:
    for epoch, (expected, got) in enumerate(zip(one, other, strict=True), start=1):
        assert got == pytest.approx(expected, rel=1e-4), f"epoch {epoch}"


@pytest.mark.parametrize("kind", [*SCHEDULES, *CALLBACKS])
def test_compiled_epochs_and_fit_train_alike(kind: str, user_module: str, tmp_path: Path) -> None:
    by_fit = curve(training_by("fit"), tmp_path / "fit", kind)
    assert_same(by_fit, curve(training_by("compiled"), tmp_path / "compiled", kind))
    assert len({rate for rate, _, _ in by_fit}) > 1 or kind == "constant"


@pytest.mark.parametrize(
    ("kind", "trainer"), [*((kind, "compiled") for kind in ("cosine", "table", *CALLBACKS)), ("best", "fit")]
)
def test_a_trial_resumed_in_mid_cycle_goes_on_as_an_unbroken_one(
    kind: str, trainer: str, user_module: str, tmp_path: Path
) -> None:
    first, other = training_by(trainer), training_by(trainer)
    unbroken = curve(first, tmp_path / "a", kind)
    # One checkpoint is in mid-cycle, the other of the last epoch before a restart; the second resumption finds nothing
    # of the attempts before in its process.
    deaths = (3, 5) if kind in ("keep", "best") else (3, 7)
    assert_same(unbroken, curve(first, tmp_path / "b", kind, *deaths, last=other))


def test_trials_whose_restarts_differ_share_a_program_and_schedules_do_not(user_module: str, tmp_path: Path) -> None:
    alone = curve(training_by("compiled"), tmp_path / "a", "warm", rate=0.02)
    training = training_by("compiled")
    curve(training, tmp_path / "b", "warm", rate=0.07, trial=0)
    assert_same(alone, curve(training, tmp_path / "c", "warm", rate=0.02, trial=1))
    curve(training, tmp_path / "d", "best", trial=2)
    assert training.programs == 1
    curve(training, tmp_path / "e", "cosine", trial=3)
    curve(training, tmp_path / "f", "linear", trial=4)
    assert training.programs == 3


def test_a_restart_in_a_borrowed_program_keeps_the_trials_own_constants(user_module: str, tmp_path: Path) -> None:
    alone = curve(training_by("compiled"), tmp_path / "a", "best", beta_1=0.6)
    training = training_by("compiled")
    curve(training, tmp_path / "b", "best", beta_1=0.9, trial=0)
    assert_same(alone, curve(training, tmp_path / "c", "best", beta_1=0.6, trial=1))
    assert training.programs == 1
