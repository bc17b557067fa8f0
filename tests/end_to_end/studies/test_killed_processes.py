"""kill -9 of anything at any moment, then the same command again: nothing is lost, nothing counts twice."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.processes import kill_one, let_it_train
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.stored_study import check_what_is_stored

EPOCHS = 90


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
    check_what_is_stored(store, name, project, EPOCHS)
