"""The average and the ensemble of cycle ends, from the command line to the file, and across a kill."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import keras
import pytest
import sqlalchemy as sa
from sklearn.datasets import load_digits

from service import tables
from service.store import Store
from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow


def write_study(project: Project, name: str, result: str, **changes: Any) -> Path:
    options = {"parameter": "rate", "cycle_epochs": 2, "configurations": 2, "result": result, "restart": "decayed"}
    return project.write_study(
        name=name, sampler="lr-restarts", pruner="", sampler_options=options, max_epochs=6,
        budget={"epochs": 14}, **changes,
    )  # fmt: skip


def events(store: Store, name: str, kind: str) -> list[Any]:
    event, study = tables.event, tables.study
    with store._engine.connect() as connection:
        of_study = sa.select(study.c.id).where(study.c.name == name).scalar_subquery()
        query = sa.select(event.c.data).where(event.c.study_id == of_study, event.c.kind == kind)
        return list(connection.execute(query).scalars())


def accuracy(model: Any, split: slice) -> float:
    x, y = load_digits(return_X_y=True)
    predicted = model.predict((x[split] / 16).astype("float32"), verbose=0).argmax(axis=1)
    return float((predicted == y[split]).mean())


def check(store: Store, name: str, result: str) -> None:
    """What is stored, told and on disk says the same."""
    (combined,) = events(store, name, "combined")
    print(combined)
    assert combined["how"] == result
    assert combined["problem"] == ""
    assert len(combined["trials"]) >= 2
    assert combined["taken"] == (combined["value"] >= combined["snapshot_value"])
    record = store.record(name)
    assert record.best is not None
    path = Path(str(record.best.model_path))
    assert path.is_file()
    assert (str(path) == combined["uri"]) == combined["taken"]
    model = keras.models.load_model(path)
    value = combined["value"] if combined["taken"] else combined["snapshot_value"]
    assert accuracy(model, slice(600, 900)) == pytest.approx(value, abs=1e-6)
    assert record.test_metrics is not None
    assert accuracy(model, slice(900, 1200)) == pytest.approx(record.test_metrics["accuracy"], abs=1e-6)
    assert sum(result in notice for notice in record.notices) == 1
    folder = path.parents[1]
    assert [file for file in folder.rglob("*") if file.is_file()] == [path], "only the model is left"


@pytest.mark.parametrize("result", ["average", "ensemble"])
def test_the_study_s_model_is_the_one_that_validation_data_chose(result: str, project: Project, store: Store) -> None:
    finished = project.command("run", str(write_study(project, f"with-{result}", result)), "--workers", "1")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    check(store, f"with-{result}", result)


def test_a_study_killed_while_it_combines_goes_on_from_there(project: Project, store: Store) -> None:
    name = "killed-while-combining"
    file = write_study(project, name, "ensemble", model="project:build_slowly", seed=5)
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
    check(store, name, "ensemble")
    again = project.command("run", str(file), "--workers", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    check(store, name, "ensemble")
