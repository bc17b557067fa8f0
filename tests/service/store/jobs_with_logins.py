"""Runs of submissions, and the database as their jobs see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.job_logins.taking_up import take_up_login
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.submissions import ServerQueue, SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.postgres_server import PasswordServer


@contextmanager
def team_with_logins(server: PasswordServer, database: str) -> Iterator[Store]:
    """The store of a server that gives its jobs logins of their own, in a new database."""
    with closing(Store(server.make_database(database))) as opened:
        JobLogins(opened.database).prepare()
        yield opened


def begin_run(team: Store, *specs: StudySpec) -> str:
    """A run of a submission of these studies, whatever else waits."""
    queue = ServerQueue(team, "a test")
    SubmissionQueue(team).submit_study(specs[0], SubmissionTerms(submitter="ada"))
    while (claimed := queue.claim(per_user=1000)) is not None:
        if claimed.submission.name == specs[0].name:
            break
    assert claimed is not None
    with team.database.connection() as connection, connection.begin():
        for position, spec in enumerate(specs[1:], 1):
            study = team.find_or_queue(connection, spec)
            row = {"submission_id": claimed.submission.id, "position": position, "study_id": study}
            connection.execute(sa.insert(tables.submission_study).values(row))
    return str(claimed.run.id)


@contextmanager
def as_job(logins: JobLogins, run: str) -> Iterator[Store]:
    with closing(Store(take_up_login(logins.create(run)))) as opened:
        yield opened
