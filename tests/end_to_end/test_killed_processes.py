"""kill -9 of anything at any moment, then the same command again: nothing is lost, nothing counts twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from service import tables
from service.store import Store
from tests.end_to_end.project import Project

EPOCHS = 90


def wait_until(what: str, condition: Any, seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def epochs_of(store: Store, name: str) -> int:
    return next((study.epochs for study in store.studies() if study.name == name), 0)


def actor_processes(command: subprocess.Popen[str], actor: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(command.pid).children(recursive=True):
        try:
            if process.cmdline() and process.cmdline()[0].startswith(f"ray::{actor}"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_one(command: subprocess.Popen[str], actor: str, rng: random.Random) -> None:
    processes = wait_until(f"a {actor} process", lambda: actor_processes(command, actor))
    rng.choice(processes).send_signal(signal.SIGKILL)


def let_it_train(command: subprocess.Popen[str], store: Store, name: str, epochs: int, rng: random.Random) -> None:
    """Until so many more epochs are recorded, and a random moment longer."""
    goal = epochs_of(store, name) + epochs
    wait_until(f"{goal} epochs", lambda: epochs_of(store, name) >= goal or command.poll() is not None)
    assert command.poll() is None, command.communicate()[0]
    time.sleep(rng.uniform(0, 0.7))


STRATEGIES: list[dict[str, Any]] = [
    {},
    {"sampler": "random", "pruner": "hyperband"},
    {"sampler": "pbt", "pruner": "", "sampler_options": {"population": 6, "interval": 2}},
    {"sampler": "lr-restarts", "pruner": "", "sampler_options": {"parameter": "rate", "cycle_epochs": 3}},
]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES, ids=["default", "hyperband", "pbt", "lr-restarts"])
def test_a_study_survives_the_death_of_anything(strategy: dict[str, Any], project: Project, store: Store) -> None:
    seed = 1 + STRATEGIES.index(strategy)
    rng = random.Random(seed)
    name = f"killed-{seed}"
    file = project.write_study(
        name=name, budget={"epochs": EPOCHS}, callbacks=["project:slow_journal"], max_attempts=5, seed=seed, **strategy
    )
    arguments = ("run", str(file), "--workers", "2")

    first = project.start(*arguments)
    let_it_train(first, store, name, 6, rng)
    kill_one(first, "Trainer", rng)
    let_it_train(first, store, name, 8, rng)
    kill_one(first, "Coordinator", rng)
    let_it_train(first, store, name, 8, rng)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()

    second = project.start(*arguments)
    let_it_train(second, store, name, 6, rng)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()

    last = project.command(*arguments)
    assert last.returncode == 0, last.stdout + last.stderr
    check_what_is_stored(store, name, project)


def check_what_is_stored(store: Store, name: str, project: Project) -> None:
    record = store.record(name)
    assert record.state == "finished"
    # The total of epochs recorded is the budget; a second row of an epoch is impossible by the primary key.
    assert len(record.measurements) == EPOCHS
    # No trial is lost or counted twice, each has ended, and its epochs are all there.
    assert list(record.trials["number"]) == list(range(len(record.trials)))
    assert set(record.trials["state"]) <= {"complete", "pruned"}
    begins = record.trials.set_index("number")["from_epoch"]
    for number, epochs in record.measurements.groupby("trial")["epoch"]:
        first = begins[number] + 1
        assert list(epochs) == list(range(first, first + len(epochs))), f"trial {number}"
    check_resumed_from_last_checkpoints(store, name)
    check_trained_again_only_since_checkpoints(record, project)
    check_optuna_agrees(store, record)


def check_resumed_from_last_checkpoints(store: Store, name: str) -> None:
    event = tables.event
    with store._engine.connect() as connection:
        study = connection.execute(sa.select(tables.study.c.id).where(tables.study.c.name == name)).scalar_one()
        rows = connection.execute(sa.select(event).where(event.c.study_id == study).order_by(event.c.seq)).all()
    ended = Counter(row.trial for row in rows if row.kind == "ended")
    assert set(ended.values()) == {1}, "a trial ended more than once"
    checkpoints: dict[int, int] = {}
    for row in rows:
        if row.kind == "proposed" and row.data["from_epoch"]:
            checkpoints[row.trial] = row.data["from_epoch"]
        elif row.kind == "checkpointed":
            checkpoints[row.trial] = row.data["epoch"]
        elif row.kind == "started":
            assert row.data["from_epoch"] == checkpoints.get(row.trial, 0), f"trial {row.trial}"


def check_trained_again_only_since_checkpoints(record: Any, project: Project) -> None:
    """The trainers' own journal, which no restart can embellish, against the attempts that are stored."""
    trained: Counter[tuple[str, int]] = Counter()
    for line in (project.folder / "journal").read_text().splitlines():
        key, epoch = line.split("\t")
        trained[key, int(epoch)] += 1
    could_have: Counter[tuple[str, int]] = Counter()  # a child may have its parent's params, and train beside it
    for _, trial in record.trials.iterrows():
        key = repr(sorted({"units": trial["params_units"], "rate": trial["params_rate"]}.items()))
        starts = record.attempts[record.attempts["trial"] == trial["number"]]["from_epoch"]
        for epoch in own_epochs(trial):
            could_have[key, epoch] += int((starts < epoch).sum())
    for (key, epoch), attempts in could_have.items():
        assert 1 <= trained[key, epoch] <= attempts, f"params {key}, epoch {epoch}"


def own_epochs(trial: Any) -> range:
    """The epochs that a trial trained, counted along its lineage."""
    return range(trial["from_epoch"] + 1, trial["from_epoch"] + trial["epochs"] + 1)


def check_optuna_agrees(store: Store, record: Any) -> None:
    import optuna

    url = store.url.replace("postgresql://", "postgresql+psycopg://")
    study = optuna.load_study(study_name=record.spec.name, storage=url)
    assert len(study.trials) == len(record.trials)
    for theirs, (_, ours) in zip(study.trials, record.trials.iterrows(), strict=True):
        assert theirs.number == ours["number"]
        assert theirs.state.name.lower() == ours["state"]
        assert theirs.value == pytest.approx(ours["value"])
        assert sorted(theirs.intermediate_values) == list(own_epochs(ours))
    assert study.best_value == pytest.approx(record.best.value)  # of equal ones Optuna may name another
