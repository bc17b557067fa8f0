"""The average and the ensemble of cycle ends, from the command line to the file, and across a kill."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.datasets import load_digits

from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.project import Project

pytestmark = pytest.mark.slow


def events(store: Store, name: str, kind: str) -> list[Any]:
    event, study = tables.event, tables.study
    with store.database.engine.connect() as connection:
        of_study = sa.select(study.c.id).where(study.c.name == name).scalar_subquery()
        query = sa.select(event.c.data).where(event.c.study_id == of_study, event.c.kind == kind)
        return list(connection.execute(query).scalars())


def on_digits(model: Any, split: str) -> float:
    """The accuracy on `load` of the project."""
    x, y = load_digits(return_X_y=True)
    rows = {"validation": slice(600, 900), "test": slice(900, 1200)}[split]
    predicted = model.predict((x[rows] / 16).astype("float32"), verbose=0).argmax(axis=1)
    return float((predicted == y[rows]).mean())


def on_zeros(model: Any, split: str) -> float:
    """The loss on `load_zeros` of the project."""
    return float((model.predict(np.ones((8, 1), "float32"), verbose=0) ** 2).mean())


def check(project: Project, store: Store, name: str, result: str, score: Callable[[Any, str], float]) -> Any:
    """What is stored, told and on disk says the same; returns what was stored of the combination."""
    (combined,) = events(store, name, "combined")
    assert combined["how"] == result
    assert combined["problem"] is None
    assert len(combined["trials"]) >= 2
    record = store.record(name)
    assert record.best is not None
    assert combined["taken"] is not record.spec.objective.is_better(combined["snapshot_value"], combined["value"])
    path = Path(str(record.best.model_path))
    assert path.is_file()
    assert (str(path) == combined["uri"]) == combined["taken"]
    model = keras.models.load_model(path, compile=False)
    value = combined["value"] if combined["taken"] else combined["snapshot_value"]
    assert score(model, "validation") == pytest.approx(value, rel=1e-4)
    assert record.test_metrics is not None
    metric = record.spec.objective.metric.removeprefix("val_")
    assert score(model, "test") == pytest.approx(record.test_metrics[metric], rel=1e-4)
    assert sum(result in notice for notice in record.notices) == 1
    told = project.command("best", name).stdout
    assert ("which is not worse" in told) == combined["taken"]
    assert json.loads(project.command("best", name, "--json").stdout)["combined"] == combined
    folder = path.parents[1]
    assert [file for file in folder.rglob("*") if file.is_file()] == [path], "only the model is left"
    return combined


@pytest.mark.parametrize("result", ["average", "ensemble"])
def test_where_it_is_better_the_combined_model_is_the_study_s(result: str, project: Project, store: Store) -> None:
    name = f"overshoots-{result}"
    options = {
        "parameter": "rate", "cycle_epochs": 1, "configurations": 1, "result": result, "restart": "initial",
        "schedule": "constant",
    }  # fmt: skip
    file = project.write_study(
        name=name, model="project:build_overshooting", data="project:load_zeros", sampler="lr-restarts", pruner="",
        sampler_options=options, max_epochs=4, budget={"epochs": 4}, objective={"metric": "val_loss"},
        space={"rate": {"type": "float", "low": 0.9499, "high": 0.9501}},
    )  # fmt: skip
    finished = project.command("run", str(file), "--workers", "1")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    combined = check(project, store, name, result, on_zeros)
    # The weight was -.9, .81, -.729 and .656 at the ends: its mean is -.041.
    assert combined["trials"] == [0, 1, 2, 3]
    assert combined["taken"] is True
    assert combined["value"] == pytest.approx(0.041**2, rel=0.02)
    assert combined["snapshot_value"] == pytest.approx(0.656**2, rel=0.01)


def test_a_study_killed_while_it_combines_goes_on_from_there(project: Project, store: Store) -> None:
    name = "killed-while-combining"
    options = {"parameter": "rate", "cycle_epochs": 2, "configurations": 2, "result": "ensemble", "restart": "decayed"}
    file = project.write_study(
        name=name, sampler="lr-restarts", pruner="", sampler_options=options, max_epochs=6, budget={"epochs": 14},
        model="project:build_slowly", seed=5,
    )  # fmt: skip
    first = project.start("run", str(file), "--workers", "1")
    deadline = time.monotonic() + 120
    while not events(store, name, "study_ended"):
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert not events(store, name, "combined"), "it was to be killed before"
    last = project.command("run", str(file), "--workers", "1")
    assert last.returncode == 0, last.stdout + last.stderr
    combined = check(project, store, name, "ensemble", on_digits)
    assert project.command("run", str(file), "--workers", "1").returncode == 0
    assert check(project, store, name, "ensemble", on_digits) == combined
