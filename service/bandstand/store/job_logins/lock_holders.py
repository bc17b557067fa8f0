"""Frees what jobs hold in the database for so long that others wait, by ending their connections.

PostgreSQL lets every role take any advisory lock, and lock the tables and rows that it may change, for as long as it
likes; no setting of a role forbids that. So it is not asked which lock it is, but who waits for whom.

Knows PostgreSQL's locks and sessions. Must not know when it is looked, nor what becomes of a job.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables

__all__ = ["LockHolders", "Overlong", "shut_out"]

PATIENCE_SECONDS = 15.0
"""That a session may wait for a job's. A job's own transactions take milliseconds."""
_OWN_LOCK_SECONDS = 5
"""That a look itself may wait for a lock."""
_LOGIN_NAME = "^bandstand-[0-9]+-[0-9]+-[0-9a-f]{12}$"
_Session = tuple[int, str]
"""Process id, and since when it is in its statement, as far as this role may see that."""


@dataclass(frozen=True, kw_only=True)
class Overlong:
    """A session of a job that is no more, because of what it held."""

    run: str  # the job's login
    pid: int
    held: str  # for people: what, and who wanted it


class LockHolders:
    """The sessions of jobs that hold what others wait for, as a series of looks sees them. Not thread-safe."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS):
        """`patience_seconds`: that a statement may wait for sessions of others' jobs before these are ended."""
        self._patience_seconds = patience_seconds
        self._waits_since: dict[_Session, float] = {}

    def look(self, connection: Connection) -> list[Overlong]:
        """End the sessions of jobs that have held up another job or the server for too long.

        A lease of a study that is none of the job's own is too long at once: whoever wants it does not wait in the
        database.

        Args:
            connection: of the server's role, in autocommit.
        """
        connection.execute(
            sa.text(f"SET lock_timeout = '{_OWN_LOCK_SECONDS}s'")
        )  # not `LOCAL`: there is no transaction
        return [*self._end_overlong(connection), *_end_foreign_leases(connection)]

    def _end_overlong(self, connection: Connection) -> list[Overlong]:
        waits = connection.execute(_WAITS, {"lease": tables.LEASE_CLASS}).all()
        jobs = _runs_of(connection, {pid for wait in waits for pid in (wait.pid, *wait.blockers)})
        foreign = {
            (wait.pid, wait.since): {pid for pid in wait.blockers if pid in jobs and jobs[pid] != jobs.get(wait.pid)}
            for wait in waits
        }
        held_up = {pid for (pid, _), blockers in foreign.items() if blockers}  # not to blame for what they hold
        to_blame = {session: blockers - held_up for session, blockers in foreign.items() if blockers - held_up}
        now = time.monotonic()
        self._waits_since = {session: self._waits_since.get(session, now) for session in to_blame}
        ended: dict[int, Overlong] = {}
        for session, blockers in to_blame.items():
            if now - self._waits_since[session] >= self._patience_seconds:
                for pid in blockers - ended.keys():
                    if _end(connection, pid, jobs[pid]):
                        what = f"a lock that {jobs.get(session[0], 'the server or one of its users')} waited for"
                        ended[pid] = Overlong(run=jobs[pid], pid=pid, held=what)
        return list(ended.values())


def shut_out(connection: Connection, run: str) -> None:
    """Let the login of a run in no more, and end whoever is connected by it; one that is gone is no error.

    Args:
        connection: of the server's role, in autocommit.
        run: the login.
    """
    if connection.execute(_IS_THERE, {"run": run, "name": _LOGIN_NAME}).scalar():
        connection.execute(_END_ALL, {"run": run})  # one of them may hold the role's own row
        connection.execute(sa.text(f'ALTER ROLE "{run}" NOLOGIN'))
        connection.execute(_END_ALL, {"run": run})


def _end_foreign_leases(connection: Connection) -> list[Overlong]:
    """Nobody waits for a lease in the database, where it could be seen: its study's coordinator tries, and gives up."""
    found = connection.execute(_FOREIGN_LEASES, {"lease": tables.LEASE_CLASS, "name": _LOGIN_NAME}).all()
    return [
        Overlong(run=row.run, pid=row.pid, held="the lease of a study that is not its own")
        for row in found
        if _end(connection, row.pid, row.run)
    ]


def _runs_of(connection: Connection, pids: Iterable[int]) -> dict[int, str]:
    """The runs of those of these sessions that are jobs' and may be ended."""
    found = connection.execute(_JOBS, {"pids": list(pids), "name": _LOGIN_NAME})
    return {row.pid: row.run for row in found}


def _end(connection: Connection, pid: int, run: str) -> bool:
    """Whether it was still there."""
    return bool(connection.execute(_END_ONE, {"pid": pid, "run": run}).scalar())


_IS_LEASE = "locktype = 'advisory' AND classid::bigint = :lease AND objsubid = 2"
_WAITS = sa.text(
    # A lease is held as long as a study runs: whoever waits for one that is not its own has no business there.
    "SELECT pid, coalesce(max(query_start)::text, '') AS since, pg_blocking_pids(pid) AS blockers "
    f"FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE NOT granted AND NOT ({_IS_LEASE}) GROUP BY pid"
)
_JOBS = sa.text(
    "SELECT pid, usename AS run FROM pg_stat_activity "
    "WHERE pid = ANY (:pids) AND usename ~ :name AND pg_has_role(usesysid, 'USAGE')"
)
_FOREIGN_LEASES = sa.text(
    "SELECT DISTINCT session.pid, session.usename AS run FROM pg_locks JOIN pg_stat_activity session USING (pid) "
    f"WHERE {_IS_LEASE} AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND session.usename ~ :name AND pg_has_role(session.usesysid, 'USAGE') "
    f"AND NOT EXISTS (SELECT FROM {tables.SCHEMA}.run JOIN {tables.SCHEMA}.submission_study USING (submission_id) "
    "WHERE run.id = session.usename AND study_id = objid::bigint)"
)
_END_ONE = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid AND usename = :run")
_END_ALL = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :run")
_IS_THERE = sa.text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :run AND rolname ~ :name)")
