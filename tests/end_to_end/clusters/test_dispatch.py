"""The dispatcher between a real queue and a real Ray cluster: what becomes of runs, whatever happens to whom."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.store import Store
from bandstand.study.states import RunState
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.submissions import CodeArchive, ServerQueue, Submission, SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.project import CODE, SETTINGS
from tests.end_to_end.harness.ray_cluster import RayCluster
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
NAMES = (f"dispatched-{number}" for number in itertools.count())
DOES_NOT_PAUSE = (
    CODE
    + """

def build_for_ever(params):
    time.sleep(600)
"""
)


@pytest.fixture(scope="module")
def team(store: Store) -> Iterator[Store]:
    """The store of a server, in a database of its own."""
    opened = Store(make_database(store, "dispatched"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def cluster(team: Store) -> Iterator[RayCluster]:
    started = RayCluster(team.database.url, "a" * 64)
    yield started
    started.end()


@pytest.fixture
def start(team: Store, cluster: RayCluster, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a dispatcher; its output goes to a file."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(*arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | cluster.environment | {"BANDSTAND_DATABASE_URL": team.database.url}
        with (tmp_path / "dispatcher").open("a") as output:
            command = [sys.executable, "-m", "bandstand_workers", "dispatch", *arguments]
            started.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment)
            )
        return started[-1]

    yield start_one
    for one in started:
        one.kill()
        one.wait()
    print((tmp_path / "dispatcher").read_text())
    with team.database.connection() as connection, connection.begin():
        connection.execute(sa.delete(tables.submission))
        connection.execute(sa.delete(tables.server))


def make_spec(**changes: Any) -> StudySpec:
    return study_spec_from({**SETTINGS, "name": next(NAMES), "budget": {"epochs": 8}, **changes}, "a test")


def make_order(code: str = CODE, **changes: Any) -> SubmissionTerms:
    return SubmissionTerms(
        submitter="ada", code=CodeArchive.of_files({"project.py": code.encode()}), workers=1, **changes
    )


def wait_for_end(store: Store, name: str, seconds: float = 420) -> Submission:
    def ended() -> Submission | None:
        found = SubmissionQueue(store).find(name)
        return found if found is not None and found.state == "ended" else None

    return wait_until(f"{name} has ended", ended, seconds)


def is_running(store: Store, name: str) -> bool:
    runs = SubmissionQueue(store).runs(name)
    return bool(runs) and runs[-1].state == "running"


def whole_log(store: Store, run: str) -> str:
    return SubmissionQueue(store).log(run, limit=10**7)


def test_a_study_is_run_and_its_log_kept_and_one_that_cannot_be_is_refused_once(team, cluster, start) -> None:
    good, bad = make_spec(), make_spec(model="project:no_such_builder")
    SubmissionQueue(team).submit_study(good, make_order(labels={"zone": "here"}))
    SubmissionQueue(team).submit_study(bad, make_order())
    dispatcher = start()
    ended = wait_for_end(team, good.name)
    assert (ended.outcome, ended.message) == ("finished", None)
    [run] = SubmissionQueue(team).runs(good.name)
    log = whole_log(team, run.id)
    assert len(log) == run.log_characters
    assert log.count(f"{good.name}: running on 1 worker\n") == 1
    assert log.count(f"{good.name}: finished: ") == 1
    [job] = [job for job in cluster.jobs() if job["submission_id"] == run.id]
    assert job["metadata"] == {"name": good.name, "submitter": "ada"}

    refused = wait_for_end(team, bad.name)
    assert refused.outcome == "failed"
    assert "no_such_builder" in refused.message
    assert len(refused.message.splitlines()) == 1
    [run] = SubmissionQueue(team).runs(bad.name)
    assert run.state == "refused"
    assert f"bandstand: {refused.message}\n" in whole_log(team, run.id)

    dispatcher.send_signal(signal.SIGTERM)
    assert dispatcher.wait(20) == 0
    with team.database.connection() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.server)).scalar() == 0


def test_a_dispatcher_finds_out_what_became_of_the_runs_of_one_that_has_vanished(team, cluster, start) -> None:
    """One run that the cluster never heard of, one that it has forgotten, one that was never submitted."""
    forgotten, unheard = make_spec(), make_spec()
    vanished = ServerQueue(team, "a machine that is gone")
    for spec in (forgotten, unheard):
        SubmissionQueue(team).submit_study(spec, make_order())
    runs = [vanished.claim(per_user=9).run.id for _ in range(2)]
    vanished.submitted(runs[0])
    vanished.leave()
    start()
    assert wait_for_end(team, unheard.name).outcome == "finished"
    assert [run.id for run in SubmissionQueue(team).runs(unheard.name)] == [runs[1]], "it was only just starting"
    assert wait_for_end(team, forgotten.name).outcome == "finished"
    lost, later = SubmissionQueue(team).runs(forgotten.name)
    assert (lost.id, lost.state) == (runs[0], RunState.LOST)
    assert later.state == RunState.SUCCEEDED


def test_a_job_that_does_not_pause_is_ended_by_ray_after_a_while(team, cluster, start) -> None:
    spec = make_spec(model="project:build_for_ever")
    SubmissionQueue(team).submit_study(spec, make_order(DOES_NOT_PAUSE))
    start("--stop-grace-seconds", "4")
    wait_until("it runs", lambda: is_running(team, spec.name))
    [run] = SubmissionQueue(team).runs(spec.name)
    driver = wait_until("its driver", lambda: cluster.driver(run.id))
    SubmissionQueue(team).stop(spec.name)
    assert wait_for_end(team, spec.name, 60).outcome == "stopped"
    assert not driver.is_running()


def test_the_database_may_be_away_for_half_a_minute(team, store, start, tmp_path) -> None:
    spec = make_spec(callbacks=["project:slow_journal"], budget={"epochs": 40}, checkpoint_every=1)
    SubmissionQueue(team).submit_study(spec, make_order())
    dispatcher = start()
    wait_until("it trains", lambda: team.progress(spec.name).epochs >= 3, 120)
    close(store, "dispatched")
    time.sleep(30)
    assert dispatcher.poll() is None
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ALTER DATABASE dispatched ALLOW_CONNECTIONS true"))
    assert wait_for_end(team, spec.name).outcome == "finished"
    assert len(team.record(spec.name).measurements) == 40
    told = (tmp_path / "dispatcher").read_text()
    assert told.count("the database must answer") == 1
    assert "going on" in told


def close(store: Store, database: str) -> None:
    """Nobody gets into the database, and whoever is in it is thrown out."""
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false"))
        out = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(sa.text(out), {"name": database})
