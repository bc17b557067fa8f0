"""What a server does with the queue: claim a submission, keep account of its run, settle what follows from its end.

Knows whose turn it is and what a run's end means. Must not know how a job gets to a cluster.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.store.rows.submission_rows import (
    TURN,
    Run,
    Submission,
    read_studies,
    read_submission,
    run_from,
    submission_from,
)
from bandstand.store.store import Store
from bandstand.study.states import RunState, StudyState, SubmissionOutcome, SubmissionState
from bandstand.study.users_code.code_archive import CodeArchive
from bandstand.submissions.changes import end_submission, notify, set_submission

__all__ = ["ClaimedRun", "ServerQueue"]

SERVER_IS_GONE_SECONDS = 30.0
"""Without a heartbeat, after which another server takes over what one had."""
HAS_RUN = (SubmissionState.RUNNING, SubmissionState.STOPPING)
"""States of a submission that has a run."""
MAX_ATTEMPTS = 5
"""Runs in a row that end without an epoch, after which a submission has failed."""
_BACK_OFF_SECONDS = (5.0, 300.0)
"""After the first such run, doubled with each further one; and the most."""


@dataclass(frozen=True, kw_only=True)
class ClaimedRun:
    """A run that is this server's to see to."""

    run: Run
    submission: Submission


class ServerQueue:
    """The queue as one server sees it. Several servers may share a database.

    Raises, from any method:
        DatabaseUnreachableError: PostgreSQL went away; nothing is lost by calling again later.
    """

    def __init__(self, store: Store, place: str):
        """Enter the server under a new id.

        Args:
            store: the database.
            place: where it runs, for people.
        """
        self.server = uuid.uuid4().hex
        self._store = store
        with store.database.connection() as connection, connection.begin():
            connection.execute(sa.insert(tables.server).values(id=self.server, place=place))

    def beat(self) -> None:
        """Say that this server lives; forget those that have been silent for a day."""
        server, now = tables.server, sa.func.clock_timestamp()
        row = {"id": self.server, "place": "", "heartbeat_at": now}
        alive = insert(server).values(row).on_conflict_do_update(index_elements=["id"], set_={"heartbeat_at": now})
        with self._store.database.connection() as connection, connection.begin():
            connection.execute(alive)
            connection.execute(sa.delete(server).where(server.c.heartbeat_at < _ago(86_400)))

    def leave(self) -> None:
        """Sign off, so that others need not wait before they take over."""
        with self._store.database.connection() as connection, connection.begin():
            connection.execute(sa.delete(tables.server).where(tables.server.c.id == self.server))
            notify(connection)

    def claim(self, *, per_user: int) -> ClaimedRun | None:
        """Make the next submission's run this server's, in state `starting`.

        Args:
            per_user: how many of one user's submissions may run at the same time.

        Returns:
            None if nothing waits whose turn it is.
        """
        table = tables.submission
        other = table.alias()
        active = (
            sa.select(sa.func.count())
            .where(other.c.submitter == table.c.submitter, other.c.state.in_(HAS_RUN))
            .scalar_subquery()
        )
        due = sa.or_(table.c.not_before.is_(None), table.c.not_before <= sa.func.clock_timestamp())
        query = sa.select(table).where(table.c.state == SubmissionState.QUEUED, due, active < per_user)
        with self._store.database.connection() as connection, connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.DISPATCH_LOCK)))  # the cap is counted
            row = connection.execute(query.order_by(*TURN).limit(1).with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            return self._begin_run(connection, submission_from(row))

    def _begin_run(self, connection: Connection, submission: Submission) -> ClaimedRun:
        runs = sa.select(sa.func.count()).where(tables.run.c.submission_id == submission.id)
        number = int(connection.execute(runs).scalar_one()) + 1
        run = f"bandstand-{submission.id}-{number}-{uuid.uuid4().hex[:12]}"
        row = {"id": run, "submission_id": submission.id, "number": number, "state": RunState.STARTING}
        connection.execute(sa.insert(tables.run).values(row))
        set_submission(
            connection, submission.id, state=SubmissionState.RUNNING, server=self.server,
            attempts=submission.attempts + 1,
        )  # fmt: skip
        return self._claimed(connection, run)

    def adopt(self) -> list[ClaimedRun]:
        """Take over the runs of servers that have gone."""
        table, server = tables.submission, tables.server
        alive = sa.select(server.c.id).where(server.c.heartbeat_at > _ago(SERVER_IS_GONE_SECONDS))
        query = sa.select(table).where(table.c.state.in_(HAS_RUN), table.c.server.not_in(alive))
        with self._store.database.connection() as connection, connection.begin():
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                set_submission(connection, row.id, server=self.server)
            return [self._claimed(connection, self._latest_run(connection, row.id)) for row in rows]

    def held(self) -> list[ClaimedRun]:
        """All runs that are this server's."""
        table = tables.submission
        query = sa.select(table.c.id).where(table.c.server == self.server, table.c.state.in_(HAS_RUN))
        with self._store.database.connection() as connection:
            ids = connection.execute(query).scalars().all()
            return [self._claimed(connection, self._latest_run(connection, one)) for one in ids]

    def code(self, submission: Submission) -> CodeArchive | None:
        """The code that a submission needs."""
        if submission.code is None:
            return None
        query = sa.select(tables.code.c.content).where(tables.code.c.sha256 == submission.code)
        with self._store.database.connection() as connection:
            return CodeArchive(bytes(connection.execute(query).scalar_one()))

    def submitted(self, run: str) -> None:
        """The cluster has the job."""
        changed = sa.update(tables.run).where(tables.run.c.id == run, tables.run.c.state == RunState.STARTING)
        with self._store.database.connection() as connection, connection.begin():
            connection.execute(changed.values(state=RunState.SUBMITTED))

    def append_log(self, run: str, start: int, text: str) -> None:
        """Keep a further piece of what a run has printed; the same piece again changes nothing.

        Args:
            run: its id.
            start: characters of its log before this piece.
            text: the piece.
        """
        if not text:
            return
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # which PostgreSQL has no place for
        row = {"run_id": run, "start": start, "text": text}
        with self._store.database.connection() as connection, connection.begin():
            held = sa.select(tables.run.c.log_characters).where(tables.run.c.id == run).with_for_update()
            if connection.execute(held).scalar() != start:
                return
            connection.execute(insert(tables.run_log).values(row).on_conflict_do_nothing())
            grown = sa.update(tables.run).where(tables.run.c.id == run)
            connection.execute(grown.values(log_characters=start + len(text)))

    def end_run(self, run: str, state: RunState, message: str | None = None) -> Submission:
        """A run has ended; settle what becomes of its submission. Again for the same run, it changes nothing.

        Args:
            run: its id.
            state: succeeded, failed or lost, as the cluster says. What the job itself has said stands.
            message: why, where that is known.
        """
        with self._store.database.connection() as connection, connection.begin():
            of_run = sa.select(tables.run).where(tables.run.c.id == run).with_for_update()
            ended = run_from(connection.execute(of_run).one())
            submission = read_submission(connection, ended.submission_id)
            is_current = self._latest_run(connection, submission.id) == run
            if not ended.state.has_ended:
                row = {"state": state, "message": message or "", "ended_at": sa.func.clock_timestamp()}
                connection.execute(sa.update(tables.run).where(tables.run.c.id == run).values(row))
            elif ended.state is RunState.REFUSED:
                state, message = ended.state, ended.message
            if is_current and submission.state in HAS_RUN:
                self._settle(connection, submission, ended, state, message)
                notify(connection)
            return read_submission(connection, submission.id)

    def _settle(
        self, connection: Connection, submission: Submission, run: Run, state: RunState, message: str | None
    ) -> None:
        studies = read_studies(connection, submission.id)
        states = [StudyState(study.state) for study in studies]
        reasons = [f"{study.name}: {study.reason}" for study in studies if study.state == StudyState.FAILED]
        if state is RunState.REFUSED:
            end_submission(connection, submission.id, SubmissionOutcome.FAILED, message)
        elif all(one is StudyState.FINISHED for one in states):
            end_submission(connection, submission.id, SubmissionOutcome.FINISHED)
        elif submission.state is SubmissionState.STOPPING:
            end_submission(connection, submission.id, SubmissionOutcome.STOPPED)
        elif all(one in (StudyState.FINISHED, StudyState.FAILED) for one in states):
            end_submission(connection, submission.id, SubmissionOutcome.FAILED, "; ".join(reasons))
        elif state is RunState.SUCCEEDED and StudyState.STOPPED in states:
            end_submission(connection, submission.id, SubmissionOutcome.STOPPED, "somebody stopped it")
        else:
            self._try_again(connection, submission, run, message)

    def _try_again(self, connection: Connection, submission: Submission, run: Run, message: str | None) -> None:
        attempts = 1 if self._has_trained(connection, submission, run) else submission.attempts
        if attempts >= MAX_ATTEMPTS:
            what = f"its job ended {attempts} times before its first epoch; the last time: {message or 'no message'}"
            end_submission(connection, submission.id, SubmissionOutcome.FAILED, what)
            return
        first, most = _BACK_OFF_SECONDS
        seconds = min(most, first * 2 ** (attempts - 1))
        set_submission(
            connection, submission.id, state=SubmissionState.QUEUED, server="", attempts=attempts,
            not_before=_ago(-seconds), message=message or "",
        )  # fmt: skip

    def _has_trained(self, connection: Connection, submission: Submission, run: Run) -> bool:
        measured, member = tables.measurement, tables.submission_study
        query = (
            sa.select(measured.c.study_id)
            .join(member, member.c.study_id == measured.c.study_id)
            .where(member.c.submission_id == submission.id, measured.c.created_at > run.created_at)
        )
        return connection.execute(query.limit(1)).scalar() is not None

    def free_vanished(self, silent_seconds: float) -> list[str]:
        """End the database connections of coordinators that have been silent, so that their studies can be claimed.

        A coordinator's lease is held by its connection. PostgreSQL gives it back at once when the process dies; when
        its whole machine vanishes, only after hours, when the network gives up. Only studies of submissions none of
        whose runs is under way are looked at: nobody is to be cut off who may still train.

        Args:
            silent_seconds: without a heartbeat; more than a coordinator lets pass while it lives.

        Returns:
            The names of the studies.
        """
        query = sa.text(
            "SELECT study.name, pg_terminate_backend(locks.pid) AS freed "
            f"FROM {tables.SCHEMA}.lease lease JOIN {tables.SCHEMA}.study study ON study.id = lease.study_id "
            "JOIN pg_locks locks ON locks.locktype = 'advisory' AND locks.classid = :cls AND locks.objid = study.id "
            "AND locks.granted AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "JOIN pg_stat_activity session ON session.pid = locks.pid "  # of a dropped login, none may be ended
            "JOIN pg_roles holder ON holder.oid = session.usesysid AND pg_has_role(holder.oid, 'USAGE') "
            f"JOIN {tables.SCHEMA}.submission_study member ON member.study_id = study.id "
            "WHERE lease.heartbeat_at < clock_timestamp() - make_interval(secs => :silent) "
            f"AND NOT EXISTS (SELECT 1 FROM {tables.SCHEMA}.run run WHERE run.submission_id = member.submission_id "
            "AND run.state IN ('starting', 'submitted', 'running')) "
            "AND locks.pid <> pg_backend_pid()"
        )
        with self._store.database.connection() as connection, connection.begin():
            rows = connection.execute(query, {"cls": tables.LEASE_CLASS, "silent": silent_seconds})
            return [row.name for row in rows if row.freed]

    # -- inside -----------------------------------------------------------------------------------------------------

    def _claimed(self, connection: Connection, run: str) -> ClaimedRun:
        row = run_from(connection.execute(sa.select(tables.run).where(tables.run.c.id == run)).one())
        return ClaimedRun(run=row, submission=read_submission(connection, row.submission_id))

    def _latest_run(self, connection: Connection, submission: int) -> str:
        query = sa.select(tables.run.c.id).where(tables.run.c.submission_id == submission)
        return str(connection.execute(query.order_by(tables.run.c.number.desc()).limit(1)).scalar_one())


def _ago(seconds: float) -> sa.ColumnElement[datetime]:
    return sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
