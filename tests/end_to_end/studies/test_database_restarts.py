"""The database is restarted, or ends connections, while a study runs: the study and whoever looks at it go on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.own_postgres import OwnPostgres
from tests.end_to_end.harness.processes import let_it_train
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.stored_study import check_what_is_stored

pytestmark = pytest.mark.slow

AWAY = "the database does not answer; the study waits for it"
BACK = "the database answers again"


@pytest.fixture
def postgres(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OwnPostgres]:
    server = OwnPostgres(tmp_path_factory.mktemp("pg"))
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", server.url)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def own_store(postgres: OwnPostgres) -> Iterator[Store]:
    store = Store(postgres.url)
    yield store
    store.close()


@pytest.mark.parametrize("away_seconds", [0, 30, 75])
def test_a_run_goes_on_after_the_database_was_away(
    away_seconds: int, project: Project, postgres: OwnPostgres, own_store: Store
) -> None:
    file = project.write_study(name="restarted", budget={"epochs": 60}, callbacks=["project:slow_journal"])
    command = project.start("run", str(file), "--workers", "2")
    try:
        let_it_train(command, own_store, "restarted", 6, random.Random(1))
        postgres.restart(away_seconds)
        output, _ = command.communicate(timeout=400)
    finally:
        command.kill()
    assert command.returncode == 0, output
    assert "Traceback" not in output
    if away_seconds:
        assert (output.count(AWAY), output.count(BACK)) == (1, 1), output
    check_what_is_stored(own_store, "restarted", project, 60)


def test_a_run_goes_on_though_each_connection_is_ended_fifty_times(
    project: Project, postgres: OwnPostgres, own_store: Store
) -> None:
    file = project.write_study(name="ended", budget={"epochs": 120}, callbacks=["project:slow_journal"])
    command = project.start("run", str(file), "--workers", "2")
    try:
        let_it_train(command, own_store, "ended", 2, random.Random(1))
        for _ in range(50):
            postgres.end_connections()
            time.sleep(0.4)
        output, _ = command.communicate(timeout=400)
    finally:
        command.kill()
    assert command.returncode == 0, output
    assert "Traceback" not in output
    check_what_is_stored(own_store, "ended", project, 120)


SCRIPT = """
from bandstand import run_study
from bandstand.study.find_study import find_study

if __name__ == "__main__":
    result = run_study(find_study({file!r}).spec, workers=1)
    print("state:", result.state, len(result.trials))
"""


def test_a_study_that_python_runs_goes_on_after_the_database_was_away(
    project: Project, postgres: OwnPostgres, own_store: Store
) -> None:
    file = project.write_study(name="from-python", budget={"epochs": 30}, callbacks=["project:slow_journal"])
    (project.folder / "script.py").write_text(SCRIPT.format(file=str(file)))
    command = subprocess.Popen(
        [sys.executable, "script.py"], cwd=project.folder, env=dict(os.environ), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        let_it_train(command, own_store, "from-python", 4, random.Random(1))
        postgres.restart(10)
        output, _ = command.communicate(timeout=300)
    finally:
        command.kill()
    assert command.returncode == 0, output
    assert "state: finished" in output
    check_what_is_stored(own_store, "from-python", project, 30)
