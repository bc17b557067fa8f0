"""A study whose one trainer trains several trials at once, on real Ray, PostgreSQL and Keras on JAX."""

from __future__ import annotations

import random
import re

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.processes import kill_one, let_it_train
from tests.end_to_end.harness.project import Project

EPOCHS = 60
AT_ONCE = 3


@pytest.mark.slow
def test_a_trainer_has_several_trials_at_once_and_its_death_loses_none_of_them(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    space = {
        "units": {"type": "categorical", "choices": [16]},
        "rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
    }
    file = project.write_study(
        name="at-once",
        space=space,
        budget={"epochs": EPOCHS},
        callbacks=["project:slow_journal"],
        resources={"trials_at_once": AT_ONCE},
        max_attempts=3,
    )
    arguments = ("run", str(file), "--workers", "1")
    command = project.start(*arguments)
    let_it_train(command, store, "at-once", 15, random.Random(1))
    kill_one(command, "Trainer", random.Random(1))
    output, _ = command.communicate(timeout=300)
    assert command.returncode == 0, output

    record = store.record("at-once")
    assert record.state == "finished"
    assert len(record.measurements) == EPOCHS
    assert set(record.trials["state"]) <= {"complete", "pruned"}
    seats = {attempt.worker for attempt in record.attempts.itertuples()}
    assert {seat.rpartition(".")[2] for seat in seats} == {"1", "2", "3"}
    assert len({seat.partition(".")[0] for seat in seats}) == 2  # the trainer, and the one that took its place
    lost = record.attempts[record.attempts["outcome"].str.contains("died|lost")]
    assert 1 <= len(lost) <= AT_ONCE
    best = project.command("best", "at-once")
    assert re.search(r"trial \d+", best.stdout), best.stdout + best.stderr


@pytest.mark.slow
def test_a_trial_that_kills_its_process_is_found_out_and_those_beside_it_are_not_blamed(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    file = project.write_study(
        name="at-once-kills",
        space={
            "units": {"type": "categorical", "choices": [8, 16, 24, 32]},
            "rate": {"type": "categorical", "choices": [0.01, 0.03]},
        },
        sampler="grid",
        pruner="none",
        budget={"trials": 8},
        max_epochs=3,
        callbacks=["project:dies_in_small_models", "project:journal"],
        resources={"trials_at_once": 3},
        max_attempts=2,
    )
    done = project.command("run", str(file), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    trials = store.record("at-once-kills").trials
    killers = trials["params_units"] == 8
    assert killers.sum() == 2
    assert set(trials[killers]["state"]) == {"failed"}
    assert set(trials[~killers]["state"]) == {"complete"}


def test_trainers_on_tensorflow_refuse_it_in_one_line(project: Project, store: Store) -> None:
    file = project.write_study(name="at-once-refused", resources={"trials_at_once": 2})
    refused = project.command("run", str(file), "--workers", "1")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    (line,) = [line for line in (refused.stdout + refused.stderr).splitlines() if "trials_at_once" in line]
    assert "needs Keras on JAX; trainers have tensorflow" in line
    assert "Traceback" not in refused.stderr
