"""What becomes of a job that keeps from others what they need, again and again."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bandstand.store import tables
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.job_logins.lock_holders import LockHolders
from bandstand.store.job_logins.taking_up import take_up_login
from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from bandstand.submissions.job_instructions import refuse_job
from bandstand.submissions.queue import SubmissionTerms
from bandstand_workers.dispatch.dispatcher import Dispatcher
from bandstand_workers.dispatch.lock_watch import LockWatch
from bandstand_workers.dispatch.ray_jobs import RayJob, RayJobs
from tests.service.store.jobs_with_logins import begin_run
from tests.service.store.written_study import make_spec
from tests.waiting import wait_until


def test_a_job_that_does_it_again_and_again_is_refused_and_the_log_names_its_study(password_server, caplog) -> None:
    with closing(Store(password_server.make_database("watched"))) as team, team.database.reading() as looking:
        looking.detach()
        logins = JobLogins(team.database)
        logins.prepare()
        spec, other = make_spec(), make_spec()
        run, watch = begin_run(team, spec), LockWatch(team, LockHolders(0.0))
        begin_run(team, other)
        (theirs,) = (study.id for study in team.studies() if study.name == other.name)
        url = take_up_login(logins.create(run))
        for number in range(3):
            assert SubmissionQueue(team).runs(spec.name)[0].state == "starting"
            with psycopg.connect(url) as thief:
                thief.execute(f"SELECT pg_advisory_lock({tables.LEASE_CLASS}, {theirs})".encode())
                with caplog.at_level(logging.WARNING):
                    assert [one.run for one in watch.look(looking)] == [run], number
                with pytest.raises(psycopg.OperationalError):
                    thief.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(url)
        (ended,) = SubmissionQueue(team).runs(spec.name)
        assert (ended.state, ended.message) == (
            "refused", "its code kept locks of the database that others waited for, again and again",
        )  # fmt: skip
        held = f"{spec.name}: its job held the lease of a study that is not its own; that connection of its is ended"
        assert [record.getMessage() for record in caplog.records] == [
            held, held, held, f"{spec.name}: its job has held up others 3 times; it is ended",
        ]  # fmt: skip
        assert url.split(":")[2].split("@")[0] not in caplog.text


class DeafJobs(RayJobs):
    """Those of a cluster whose jobs end by nothing but Ray's stop."""

    def __init__(self) -> None:
        self.job = RayJob(has_ended=False, succeeded=False, is_pending=False, message=None)

    def check(self) -> None:
        pass

    def submit(self, run: str, **_: Any) -> None:
        raise AssertionError("it is there")

    def look_up(self, run: str) -> RayJob:
        return self.job

    def stop(self, run: str) -> None:
        self.job = dataclasses.replace(self.job, has_ended=True, message="stopped by the test")

    async def tail(self, run: str) -> AsyncIterator[str]:
        yield "a line\n"


def test_a_job_that_lives_on_though_its_run_is_refused_is_ended_by_ray(password_server) -> None:
    """It is shut out of the database, and cannot read there that it is to stop."""
    with closing(Store(password_server.make_database("refused", attributes=""))) as team:
        queue, spec, cluster = SubmissionQueue(team), make_spec(), DeafJobs()
        queue.submit_study(spec, SubmissionTerms(submitter="mallory"))
        dispatcher = Dispatcher(
            team, cluster, logins=JobLogins(team.database), place="", per_user=1, at_once=1, stop_grace_seconds=0.0
        )
        for _ in range(3):
            dispatcher.step()
        assert not cluster.job.has_ended
        refuse_job(team, queue.runs(spec.name)[0].id, "a reason")
        wait_until("it has ended", lambda: dispatcher.step() == 0)
        ended = queue.find(spec.name)
        assert (ended.state, ended.outcome, ended.message) == ("ended", "failed", "a reason")
        assert cluster.job.has_ended


@pytest.mark.slow
def test_a_dispatcher_that_starts_is_not_held_up_by_a_job_of_before(password_server, home: Path, tmp_path) -> None:
    """With the server's own patience, and before it has any cluster."""
    output = tmp_path / "output"
    with closing(Store(password_server.make_database("started"))) as team:
        logins, spec = JobLogins(team.database), make_spec()
        logins.prepare()
        url = take_up_login(logins.create(begin_run(team, spec)))
        environment = os.environ | {
            "BANDSTAND_DATABASE_URL": team.database.url,
            "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1",
        }
        with psycopg.connect(url, autocommit=True) as thief, output.open("w") as file:
            thief.execute(f"SELECT pg_advisory_lock({tables.JOB_LOGINS_LOCK})".encode())
            command = [sys.executable, "-m", "bandstand_workers", "dispatch"]
            started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment)
            try:
                said = "each job has a database login of its own"
                wait_until("it has come so far", lambda: said in output.read_text(), 300)
            finally:
                started.kill()
                started.wait()
        held = f"{spec.name}: its job held a lock that the server or one of its users waited for; that connection"
        assert output.read_text().count(held) == 1
