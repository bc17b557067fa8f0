"""Studies on a Ray cluster whose nodes come and go while they run."""

from __future__ import annotations

import queue
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.processes import let_it_train
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.ray_nodes import RayNodes
from tests.end_to_end.harness.stored_study import check_what_is_stored
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


class Told:
    """What a running command has printed so far."""

    def __init__(self, command: subprocess.Popen[str]):
        self.command = command
        self.lines: list[str] = []
        self._ended: queue.Queue[None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.command.stdout is not None
        for line in self.command.stdout:
            self.lines.append(line)
        self._ended.put(None)

    def says(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def wait_for(self, words: str, seconds: float = 90) -> None:
        wait_until(
            f"{words!r} in\n{''.join(self.lines)}", lambda: self.says(words) or self.command.poll() is not None, seconds
        )
        assert self.says(words), "".join(self.lines)

    def end(self, seconds: float = 240) -> int:
        self._ended.get(timeout=seconds)
        return self.command.wait(timeout=30)


@pytest.fixture
def nodes(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayNodes]:
    """A cluster that the commands of the test use."""
    with RayNodes() as nodes:
        for name, value in nodes.settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        monkeypatch.setenv("BANDSTAND_DATABASE_URL", store.database.url)
        yield nodes


def trainers(nodes: RayNodes) -> dict[str, int]:
    """How many places for trainers the cluster's studies have, and wait for, by Ray's word."""
    code = (
        "from ray.util import placement_group_table\n"
        "states = [group['state'] for group in placement_group_table().values()]\n"
        "print(states.count('CREATED'), states.count('PENDING') + states.count('RESCHEDULING'))"
    )
    placed, asked = nodes.ask(code).splitlines()[-1].split()
    return {"placed": int(placed), "asked": int(asked)}


def test_trainers_join_as_nodes_come_and_a_killed_node_costs_the_epochs_since_the_last_checkpoint(
    nodes: RayNodes, project: Project, store: Store
) -> None:
    settings: dict[str, Any] = {"budget": {"epochs": 90}, "callbacks": ["project:slow_journal"], "max_attempts": 1}
    file = project.write_study(name="elastic", **settings)
    told, rng = Told(project.start("run", str(file))), random.Random(1)

    told.wait_for("elastic: waiting for resources: each trainer needs 1 CPU; the cluster has 0 CPUs (free: 0 CPUs)")
    assert "elastic" not in {study.name for study in store.studies()}
    nodes.add(1)
    told.wait_for("elastic: running on 1 worker")
    let_it_train(told.command, store, "elastic", 4, rng)
    assert trainers(nodes) == {"placed": 1, "asked": 1}

    second = nodes.add(1)
    told.wait_for("elastic: 2 workers")
    wait_until("trials of two trainers", lambda: workers_of(store, "elastic") >= 2)
    let_it_train(told.command, store, "elastic", 4, rng)
    nodes.kill(second)
    lost = wait_until("a lost attempt", lambda: losses(store, "elastic"))
    assert [loss["blamed"] for loss in lost] == [False], lost
    let_it_train(told.command, store, "elastic", 4, rng)
    assert trainers(nodes) == {"placed": 1, "asked": 1}

    assert told.end() == 0, "".join(told.lines)
    assert sum("waiting for resources" in line for line in told.lines) == 1
    # With a single attempt allowed: a node's death is not the trial's.
    check_what_is_stored(store, "elastic", project, epochs=90)


def test_a_study_that_waits_for_resources_is_stopped_at_once_and_leaves_nothing(
    nodes: RayNodes, project: Project, store: Store
) -> None:
    file = project.write_study(name="waits", resources={"cpus": 3})
    told = Told(project.start("run", str(file), "--workers", "2"))
    told.wait_for("waits: waiting for resources: 3 CPUs each")
    told.wait_for("no node of the cluster is large enough for a trainer (3 CPUs)", seconds=100)
    told.command.send_signal(signal.SIGINT)
    assert told.end(seconds=20) == 130
    assert "waits" not in {study.name for study in store.studies()}
    assert trainers(nodes) == {"placed": 0, "asked": 0}


def workers_of(store: Store, name: str) -> int:
    """How many trainers have had an attempt."""
    return int(store.record(name).attempts["worker"].nunique())


def losses(store: Store, name: str) -> list[dict[str, Any]]:
    """What is stored of attempts whose worker died."""
    event, study = tables.event, tables.study
    rows = sa.select(event.c.data).join(study, study.c.id == event.c.study_id)
    with store.database.engine.connect() as connection:
        return list(connection.execute(rows.where(study.c.name == name, event.c.kind == "lost")).scalars())
