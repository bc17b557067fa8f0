"""What becomes of a job that keeps from others what they need, again and again."""

from __future__ import annotations

import logging
from contextlib import closing

import psycopg
import pytest

from bandstand.store import tables
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.job_logins.lock_holders import LockHolders
from bandstand.store.job_logins.taking_up import take_up_login
from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from bandstand_workers.dispatch.lock_watch import LockWatch
from tests.service.store.jobs_with_logins import begin_run
from tests.service.store.written_study import make_spec


def test_a_job_that_does_it_again_and_again_is_refused_and_the_log_names_its_study(password_server, caplog) -> None:
    with closing(Store(password_server.make_database("watched"))) as team, team.database.reading() as looking:
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
