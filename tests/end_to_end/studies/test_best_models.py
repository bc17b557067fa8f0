"""The best value that was seen comes with its model: of trials that are pruned, paused or fail later, through kills."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.processes import actor_processes
from tests.end_to_end.harness.project import Project
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

CODE = """
import os
import time

import keras
import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))
SCORES = {
    "steady": [0.5, 0.6, 0.7, 0.8],
    "peak": [0.5, 0.95, 0.1, 0.1],
    "other": [0.4, 0.3, 0.3, 0.3],
    "raises": [0.5, 0.97, None, None],
    "dies": [0.5, 0.95, 0.1, 0.1],
}


def load():
    return {name: (np.ones((4, 1), "float32"), np.ones((4, 1), "float32")) for name in ("train", "validation", "test")}


def build(params):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    return model


class Scripted(keras.callbacks.Callback):
    # Reports what the script says; the only weight tells of which kind and epoch it is.
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and self.kind in ("peak", "dies"):
            time.sleep(2)  # an epoch right after another is told with the next one
        marker = os.path.join(FOLDER, "waits")
        if self.kind == "peak" and epoch == 2 and os.path.exists(marker):
            os.rename(marker, os.path.join(FOLDER, "waiting"))
            time.sleep(120)  # somebody kills this process
        if self.kind == "dies" and epoch == 2:
            time.sleep(3)  # what was measured is stored
            os.kill(os.getpid(), 9)
        if SCORES[self.kind][min(epoch, 3)] is None:
            raise RuntimeError("it cannot go on")

    def on_epoch_end(self, epoch, logs=None):
        self.model.layers[-1].kernel.assign([[10.0 * list(SCORES).index(self.kind) + epoch + 1]])
        logs["val_score"] = SCORES[self.kind][min(epoch, 3)]


def scripted(params):
    return Scripted(params["kind"])
"""

SETTINGS: dict[str, Any] = {
    "model": "scripted:build", "data": "scripted:load", "callbacks": ["scripted:scripted"], "trainer": "fit",
    "objective": {"metric": "val_score", "direction": "maximize"}, "max_epochs": 4, "budget": {"epochs": 40},
    "sampler": "grid",
}  # fmt: skip
PRUNES = {"pruner": "threshold", "pruner_options": {"lower": 0.2, "min_epochs": 3}}
PAUSES = {"pruner": "asha-promote", "pruner_options": {"min_epochs": 3}}


def write_study(project: Project, name: str, kinds: list[str], **changes: Any) -> Path:
    (project.folder / "scripted.py").write_text(CODE)
    space = {"kind": {"type": "categorical", "choices": kinds}}
    return project.write_study(name=name, space=space, **(SETTINGS | changes))


def weight_of(path: str) -> float:
    import keras

    return float(keras.models.load_model(path).get_weights()[0][0, 0])


def check_peak(project: Project, store: Store, name: str, state: str, epochs: int) -> None:
    """That all surfaces name the trial that was best in its second epoch, and have its model of that epoch."""
    record = store.record(name)
    best = record.best
    assert best is not None
    assert (best.params["kind"], best.value, best.epoch, best.state) == ("peak", 0.95, 2, state)
    assert best.epochs == epochs
    assert best.model_path is not None
    assert weight_of(best.model_path) == 12.0
    assert record.best_test_metrics is not None
    told = json.loads(project.command("best", name, "--json").stdout)
    assert (told["number"], told["value"], told["model_path"]) == (best.number, 0.95, best.model_path)
    shown = project.command("show", name).stdout
    assert "of val_score, higher is better" in shown
    assert store.studies(names=[name])[0].best_value == 0.95
    assert optuna_best(store, name) == {"trial": best.number, "value": 0.95, "epoch": 2, "state": state}


def optuna_best(store: Store, name: str) -> Any:
    import optuna

    url = store.database.url.replace("postgresql://", "postgresql+psycopg://")
    return optuna.load_study(study_name=name, storage=url).user_attrs["bandstand:best"]


def test_a_pruned_trial_is_the_best_with_its_model(project: Project, store: Store) -> None:
    file = write_study(project, "best-pruned", ["steady", "peak", "other"], **PRUNES)
    done = project.command("run", str(file), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"best val_score 0.9500 \(higher is better\): trial \d, pruned, epoch 2 of 3\n", done.stdout)
    check_peak(project, store, "best-pruned", "pruned", 3)


def test_a_trial_that_is_paused_for_ever_is_the_best_with_its_model(project: Project, store: Store) -> None:
    file = write_study(project, "best-paused", ["peak", "steady", "other"], **PAUSES)
    done = project.command("run", str(file), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    check_peak(project, store, "best-paused", "pruned", 3)


def test_a_trial_that_fails_later_is_the_best_with_its_model(project: Project, store: Store) -> None:
    file = write_study(project, "best-failed", ["steady", "raises"], pruner="none")
    done = project.command("run", str(file), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    best = store.record("best-failed").best
    assert best is not None
    assert (best.state, best.value, best.epoch) == ("failed", 0.97, 2)
    assert weight_of(best.model_path or "") == 32.0
    assert [path.name for path in Path(best.model_path or "").parents[1].rglob("*.keras")] == [
        Path(best.model_path or "").name
    ]


@pytest.mark.parametrize("killed", ["Trainer", "Coordinator", "everything"])
def test_the_best_model_survives_the_death_of_who_trained_it(killed: str, project: Project, store: Store) -> None:
    name = f"best-killed-{killed.lower()}"
    file = write_study(project, name, ["steady", "peak", "other"], **PRUNES)
    (project.folder / "waits").touch()
    first = project.start("run", str(file), "--workers", "1")
    wait_until("its third epoch", lambda: (project.folder / "waiting").exists() or first.poll() is not None)
    # Its best value is stored, and its weights are nowhere but in the process that is killed.
    wait_until("its best epoch", lambda: store.studies(names=[name])[0].best_value == 0.95)
    if killed == "everything":
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        stored = store.record(name).best
        assert stored is not None
        assert (stored.value, stored.model_path) == (0.95, None)
        assert "its model is saved when the trial ends" in project.command("best", name).stdout
        done = project.command("run", str(file), "--workers", "1")
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        for process in actor_processes(first, killed):
            process.send_signal(signal.SIGKILL)
        if killed == "Coordinator":  # its trainer still sleeps
            for process in actor_processes(first, "Trainer"):
                process.send_signal(signal.SIGKILL)
        output, _ = first.communicate(timeout=240)
        assert first.returncode == 0, output
    check_peak(project, store, name, "pruned", 3)


def test_a_best_model_that_died_with_its_trainer_is_said_to_be_lost(project: Project, store: Store) -> None:
    file = write_study(project, "best-lost", ["steady", "dies"], max_attempts=1, **PRUNES)
    done = project.command("run", str(file), "--workers", "1")
    output = done.stdout
    assert done.returncode == 0, output + done.stderr
    record = store.record("best-lost")
    assert record.best is not None
    assert (record.best.value, record.best.state, record.best.model_path) == (0.95, "failed", None)
    assert "its model is lost" in output
    kept = int(record.trials.set_index("params_kind").loc["steady", "number"])
    assert (record.model_trial, record.best_test_metrics) == (kept, None)
    assert f"the model of trial {kept} (the model file of the best trial is missing)" in output
    assert any(f"the model of trial {kept} is kept" in notice for notice in record.notices)


def test_a_study_that_is_stopped_has_the_model_of_its_best_trial(project: Project, store: Store) -> None:
    file = write_study(project, "best-stopped", ["peak", "steady"], pruner="none", max_epochs=60, budget={"epochs": 90})
    code = project.folder / "scripted.py"
    code.write_text(code.read_text().replace("time.sleep(120)", "time.sleep(15)"))
    (project.folder / "waits").touch()
    first = project.start("run", str(file), "--workers", "1")
    wait_until("its third epoch", lambda: (project.folder / "waiting").exists() or first.poll() is not None)
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=120)
    record = store.record("best-stopped")
    assert record.state == "stopped", output
    assert record.best is not None
    assert (record.best.state, record.best.value, record.test_looks) == ("waiting", 0.95, 0)
    assert weight_of(record.best.model_path or "") == 12.0
