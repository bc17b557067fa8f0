"""More budget and trials of their own, as users ask for them: while a study runs and dies, and after its end."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import keras
import pytest
import sqlalchemy as sa

from bandstand.problem.budget import Budget
from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.processes import kill_one, let_it_train
from tests.end_to_end.harness.project import Project
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def events(store: Store, name: str, *kinds: str) -> list[Any]:
    event, study = tables.event, tables.study
    with store.database.connection() as connection:
        of_study = sa.select(study.c.id).where(study.c.name == name).scalar_subquery()
        query = sa.select(event.c.data).where(event.c.study_id == of_study, event.c.kind.in_(kinds))
        return list(connection.execute(query.order_by(event.c.seq)).scalars())


@pytest.mark.parametrize("seed", [1, 2])
def test_requests_are_taken_once_though_the_coordinator_dies_around_them(
    seed: int, project: Project, store: Store
) -> None:
    rng, name = random.Random(seed), f"asked-{seed}"
    file = project.write_study(name=name, budget={"epochs": 20}, callbacks=["project:slow_journal"], max_attempts=9)
    wanted = [{"units": units, "rate": 0.01} for units in (10, 11, 12)]
    first = project.start("run", str(file), "--workers", "2")
    let_it_train(first, store, name, 2, rng)
    store.requests.extend(name, Budget(epochs=30), by="ada")
    for params in wanted[:2]:
        store.requests.enqueue(name, params, by="ada")
        time.sleep(rng.uniform(0, 1.5))
        kill_one(first, "Coordinator", rng)
        let_it_train(first, store, name, 2, rng)
    status = wait_until("a status", lambda: store.monitoring.coordinator(name))
    assert status.counts.trainers >= 1
    store.requests.enqueue(name, wanted[2])
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()

    last = project.command("run", str(file), "--workers", "2")  # the file still is the stored study
    assert last.returncode == 0, last.stdout + last.stderr
    record = store.record(name)
    assert (record.state, len(record.measurements)) == ("finished", 30)
    assert (record.budget.epochs, record.spec.budget.epochs) == (30, 20)
    requests = store.requests.read(name)
    assert [(request.kind, request.answer) for request in requests] == [("extend", None), *[("enqueue", None)] * 3]
    assert all(request.taken_at for request in requests)
    taken = [event["request"] for event in events(store, name, "extended", "enqueued")]
    assert sorted(taken) == [request.id for request in requests]
    tried = [event for event in events(store, name, "proposed") if event["request"] is not None]
    assert [event["params"] for event in tried] == wanted


def test_a_finished_study_that_is_extended_chooses_and_tests_again_and_says_so(project: Project, store: Store) -> None:
    name = "extended"
    space = {"units": {"type": "int", "low": 1, "high": 40}, "rate": {"type": "float", "low": 1e-6, "high": 1e-1}}
    file = project.write_study(name=name, space=space, pruner="none", budget={"trials": 1}, max_epochs=2)
    assert project.command("run", str(file), "-w", "1").returncode == 0
    bad = store.record(name)
    assert bad.best is not None
    assert (bad.best.number, bad.test_looks) == (0, 1)
    assert "nothing" not in project.command("run", name, "--resume").stdout
    assert store.record(name).wall_seconds == bad.wall_seconds, "there was nothing to do"

    refused = project.command("extend", name, "--budget", "trials=1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "must raise a limit" in refused.stderr
    asked = project.command("enqueue", name, "units=40", "rate=0.02")
    assert asked.returncode == 0, asked.stderr
    assert "--resume" in asked.stdout
    assert project.command("extend", name, "--budget", "trials=2").returncode == 0
    assert "waits: extend trials=2" in project.command("show", name).stdout
    again = project.command("run", name, "--resume", "-w", "1")
    assert again.returncode == 0, again.stdout + again.stderr

    good = store.record(name)
    assert (good.state, len(good.trials), good.trials["origin"][1][:8]) == ("finished", 2, "enqueued")
    assert good.best is not None
    assert good.best.number == 1, "it is the better one by far"
    assert good.test_metrics is not None
    assert good.test_metrics != bad.test_metrics
    assert good.test_looks == 2
    assert sum("used again, for trial 1" in notice for notice in good.notices) == 1
    assert "looked at 2 times" in project.command("best", name).stdout
    path = Path(str(good.best.model_path))
    assert [file for file in path.parents[1].rglob("*") if file.is_file()] == [path], "only the model is left"

    project.command("extend", name, "--budget", "trials=3")
    project.command("enqueue", name, "units=1", "rate=0.000001")
    assert project.command("run", name, "--resume", "-w", "1").returncode == 0
    worse = store.record(name)
    assert worse.best is not None
    assert (len(worse.trials), worse.best.number, worse.test_looks) == (3, 1, 2), "the same model is not tested again"
    assert worse.test_metrics == good.test_metrics


@pytest.mark.parametrize("result", ["best", "average"])
def test_learning_rate_restarts_go_on_after_an_extension_without_the_checkpoints_of_before(
    result: str, project: Project, store: Store
) -> None:
    name = f"extended-restarts-{result}"
    options = {"parameter": "rate", "cycle_epochs": 1, "result": result}
    file = project.write_study(name=name, sampler="lr-restarts", pruner="", sampler_options=options)
    assert project.command("run", str(file), "-w", "2").returncode == 0
    before = store.record(name)
    assert project.command("extend", name, "--budget", "40epochs").returncode == 0
    again = project.command("run", name, "--resume", "-w", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    record = store.record(name)
    assert len(record.measurements) == 40
    assert not (record.trials["state"] == "failed").any()
    later = record.trials[record.trials["number"] >= len(before.trials)]
    assert len(later)
    parents = later["parent"].dropna()
    assert len(parents)
    assert (parents >= len(before.trials)).all()
    assert record.best is not None
    assert record.test_metrics is not None
    path = Path(str(record.best.model_path))
    keras.models.load_model(path, compile=False)
    assert [file for file in path.parents[1].rglob("*") if file.is_file()] == [path], "only the model is left"
    assert (record.combined is not None) == (result == "average")
