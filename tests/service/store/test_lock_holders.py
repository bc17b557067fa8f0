"""What a job keeps from others in the database, and that they go on: with the server's patience at its end at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.job_logins.lock_holders import LockHolders, shut_out
from bandstand.store.job_logins.taking_up import take_up_login
from bandstand.store.rows.submission_rows import submission_of_run
from bandstand.store.store import Store
from bandstand.submissions import ServerQueue, SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.postgres_server import PasswordServer
from tests.service.store.jobs_with_logins import as_job, begin_run, team_with_logins
from tests.service.store.written_study import make_spec, train
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def team(password_server: PasswordServer) -> Iterator[Store]:
    with team_with_logins(password_server, "locks") as opened:
        yield opened


@pytest.fixture
def looking(team: Store) -> Iterator[Connection]:
    with team.database.reading() as connection:
        connection.detach()
        yield connection


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    """Where those wait whom a job holds up; a test that fails does not wait for them."""
    threads = ThreadPoolExecutor()
    yield threads
    threads.shutdown(wait=False)


class Session:
    """One of a job's, which keeps what it has taken."""

    def __init__(self, url: str):
        self.connection = psycopg.connect(url)
        self.pid = self.connection.info.backend_pid


@contextmanager
def session(team: Store, run: str, *statements: str, url: str | None = None) -> Iterator[Session]:
    opened = Session(url or take_up_login(JobLogins(team.database).create(run)))
    try:
        for statement in statements:
            opened.connection.execute(statement.format_map(vars(tables) | {"run": run}).encode())
        yield opened
    finally:
        opened.connection.close()


def go_on(looking: Connection, waiting: Future[Any], holders: LockHolders | None = None) -> list[tuple[str, int]]:
    """Look until whoever waits has what it wanted; returns whose sessions were ended."""
    holders, ended = holders or LockHolders(0.0), []

    def look() -> bool:
        ended.extend((one.run, one.pid) for one in holders.look(looking))
        return waiting.done()

    wait_until("it goes on", look)
    waiting.result()
    return ended


def waits(looking: Connection, number: int = 1) -> None:
    query = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    wait_until("somebody waits", lambda: looking.execute(query).scalar() == number)


def submission_name(team: Store, run: str) -> str:
    with team.database.connection() as connection:
        return str(submission_of_run(connection, run))


ACTIONS: dict[str, Callable[[Store, str], Any]] = {
    "SELECT pg_advisory_lock({DISPATCH_LOCK})": lambda team, run: ServerQueue(team, "").claim(per_user=0),
    "SELECT pg_advisory_lock_shared({CREATE_LOCK})": lambda team, run: SubmissionQueue(team).submit_study(
        make_spec(), SubmissionTerms(submitter="grace")
    ),
    "SELECT pg_advisory_xact_lock({JOB_LOGINS_LOCK})": lambda team, run: JobLogins(team.database).prepare(),
    "LOCK TABLE {SCHEMA}.lease IN ACCESS EXCLUSIVE MODE": lambda team, run: ServerQueue(team, "").free_vanished(60.0),
    "LOCK TABLE {SCHEMA}.trial IN EXCLUSIVE MODE": lambda team, run: train(team, make_spec(), 1),
    "LOCK TABLE studies": lambda team, run: team.delete_optuna_studies(["x"]),
    "SELECT FROM {SCHEMA}.run WHERE id = '{run}' FOR UPDATE": lambda team, run: ServerQueue(team, "").append_log(
        run, 0, "text"
    ),
    "UPDATE {SCHEMA}.study SET reason = 'x'": lambda team, run: SubmissionQueue(team).stop(submission_name(team, run)),
    "ALTER ROLE CURRENT_USER PASSWORD 'x'": lambda team, run: JobLogins(team.database).drop(run),
}  # fmt: skip
"""What a job keeps, and something of the server's that waits for it."""


SLOW = (
    "SELECT pg_advisory_lock_shared({CREATE_LOCK})",
    "LOCK TABLE studies",
    "LOCK TABLE {SCHEMA}.trial IN EXCLUSIVE MODE",
)
"""Further members of the same kinds."""


@pytest.mark.parametrize(
    "statement", [pytest.param(each, marks=[pytest.mark.slow] if each in SLOW else []) for each in ACTIONS]
)
def test_the_server_goes_on_whatever_a_job_keeps(team, looking, others, statement) -> None:
    run = begin_run(team, make_spec())
    with session(team, run, statement) as thief:
        waiting = others.submit(ACTIONS[statement], team, run)
        assert go_on(looking, waiting) == [(run, thief.pid)]
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            thief.connection.execute("SELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "LOCK TABLE {SCHEMA}.attempt",
        pytest.param("LOCK TABLE trials", marks=pytest.mark.slow),
        pytest.param("SELECT pg_advisory_lock({CREATE_LOCK})", marks=pytest.mark.slow),
    ],
)
def test_another_job_goes_on_whatever_a_job_keeps(team, looking, others, statement) -> None:
    spec, strange = make_spec(), begin_run(team, make_spec())
    run = begin_run(team, spec)
    with as_job(JobLogins(team.database), run) as job, session(team, strange, statement) as thief:

        def study() -> None:
            with closing(job.claim(spec, "a job")) as writer, job.database.connection() as connection:
                writer.heartbeat()
                connection.execute(sa.select(tables.attempt).limit(1)).all()
                connection.execute(sa.text("SELECT FROM trials")).all()

        assert go_on(looking, others.submit(study)) == [(strange, thief.pid)]


def test_a_job_that_stands_in_line_before_others_is_ended(team, looking, others) -> None:
    """It waits for somebody who reads for long, such as a backup; whoever comes after it waits for it."""
    run = begin_run(team, make_spec())
    with team.database.connection() as backup, session(team, run) as thief:
        backup.execute(sa.select(tables.trial).limit(1)).all()
        others.submit(thief.connection.execute, b"LOCK TABLE bandstand_store.trial")
        waits(looking)
        waiting = others.submit(lambda: team.studies() and train(team, make_spec(), 1))
        assert go_on(looking, waiting) == [(run, thief.pid)]


def test_sessions_of_one_job_that_wait_for_each_other_do_not_hide_each_other(team, looking, others) -> None:
    run = begin_run(team, make_spec())
    url = take_up_login(JobLogins(team.database).create(run))
    first, second = "SELECT pg_advisory_lock({CREATE_LOCK})", "SELECT pg_advisory_lock(1)"
    with session(team, run, first, url=url) as front, session(team, run, second, url=url) as behind:
        others.submit(front.connection.execute, b"SELECT pg_advisory_lock(1)")
        waits(looking)
        holders = LockHolders(0.0)
        assert holders.look(looking) == [], "nobody else waits"
        terms = SubmissionTerms(submitter="grace")
        waiting = others.submit(SubmissionQueue(team).submit_study, make_spec(), terms)
        assert go_on(looking, waiting, holders) == [(run, front.pid)]
        behind.connection.execute("SELECT 1")


def test_a_job_that_is_held_up_itself_is_not_to_blame(team, looking, others) -> None:
    innocent, guilty = begin_run(team, make_spec()), begin_run(team, make_spec())
    with (
        session(team, guilty, "LOCK TABLE {SCHEMA}.attempt") as thief,
        session(team, innocent, "SELECT FROM {SCHEMA}.run WHERE id = '{run}' FOR UPDATE") as victim,
    ):
        insertion = others.submit(victim.connection.execute, b"SELECT FROM bandstand_store.attempt")
        waits(looking)
        waiting = others.submit(ServerQueue(team, "").append_log, innocent, 0, "text")
        waits(looking, 2)
        assert [(one.run, one.pid) for one in LockHolders(0.0).look(looking)] == [(guilty, thief.pid)]
        insertion.result(60)
        victim.connection.rollback()
        waiting.result(60)


def test_who_waits_for_less_than_the_patience_or_for_no_job_has_nobody_ended(
    team, password_server, looking, others
) -> None:
    run = begin_run(team, make_spec())
    patient = LockHolders(3600.0)
    with session(team, run, "SELECT pg_advisory_lock({CREATE_LOCK})") as job:
        waiting = others.submit(SubmissionQueue(team).submit_study, make_spec(), SubmissionTerms(submitter="grace"))
        waits(looking)
        assert [patient.look(looking) for _ in range(2)] == [[], []]
        job.connection.close()
        waiting.result(60)
    with team.database.connection() as owner, owner.begin():
        owner.execute(sa.text("CREATE ROLE somebody LOGIN PASSWORD 's'; GRANT somebody TO current_user"))
    with psycopg.connect(password_server.url("somebody", "s", "locks")) as somebody:  # whom the server may end
        somebody.execute(f"SELECT pg_advisory_lock({tables.CREATE_LOCK})".encode())
        waiting = others.submit(SubmissionQueue(team).submit_study, make_spec(), SubmissionTerms(submitter="grace"))
        waits(looking)
        impatient = LockHolders(0.0)
        assert [impatient.look(looking) for _ in range(2)] == [[], []]
    waiting.result(60)


@pytest.mark.parametrize("how", ["SELECT pg_advisory_lock({LEASE_CLASS}, {study})",
                                 "BEGIN; SELECT pg_try_advisory_xact_lock_shared({LEASE_CLASS}, {study})"])  # fmt: skip
def test_the_lease_of_another_study_is_let_go_at_once(team, looking, how) -> None:
    """Of one that is, and of one that is yet to come; the patience is for those who may need theirs."""
    strange, spec = begin_run(team, make_spec()), make_spec()
    run = begin_run(team, spec)
    with team.database.connection() as connection:
        study = connection.execute(sa.select(tables.study.c.id).where(tables.study.c.name == spec.name)).scalar_one()
    for number in (study, 2_000_000_000):
        statement = how.replace("{study}", str(number))
        with session(team, strange, statement, url=fresh(team, strange)) as thief:
            assert [(one.run, one.pid) for one in LockHolders().look(looking)] == [(strange, thief.pid)]
    with as_job(JobLogins(team.database), run) as job, closing(job.claim(spec, "a job")):
        assert LockHolders(0.0).look(looking) == [], "its own lease is its own"


def test_who_waits_for_a_running_studys_lease_does_not_get_its_holder_ended(team, looking, others) -> None:
    strange, spec = begin_run(team, make_spec()), make_spec()
    run = begin_run(team, spec)
    with (
        as_job(JobLogins(team.database), run) as job,
        closing(job.claim(spec, "a job")) as writer,
        session(team, strange, "SELECT pg_advisory_lock({CREATE_LOCK})") as thief,
    ):
        statement = f"SELECT pg_advisory_lock({tables.LEASE_CLASS}, {writer.study_id})"
        others.submit(thief.connection.execute, statement.encode())
        waits(looking)
        waiting = others.submit(SubmissionQueue(team).submit_study, make_spec(), SubmissionTerms(submitter="grace"))
        assert go_on(looking, waiting) == [(strange, thief.pid)]
        assert writer.heartbeat().stop is False


def test_a_login_that_is_shut_out_gets_in_no_more(team, looking) -> None:
    run = begin_run(team, make_spec())
    url = fresh(team, run)
    with session(team, run, "ALTER ROLE CURRENT_USER SET work_mem = '5MB'", url=url) as job:
        shut_out(looking, run)
        with pytest.raises(psycopg.OperationalError):
            job.connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(url)
    shut_out(looking, run)
    shut_out(looking, "locks_owner")  # is no job
    psycopg.connect(team.database.url).close()


def fresh(team: Store, run: str) -> str:
    """A URL of the run's login, whose first password may be used already."""
    logins = JobLogins(team.database)
    logins.drop(run)
    return take_up_login(logins.create(run))
