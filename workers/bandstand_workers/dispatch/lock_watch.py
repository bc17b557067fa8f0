"""Keeps jobs from stopping others by what they hold in the database; a thread, because the dispatcher may be waiting.

Knows how often to look, and when a job is to be ended for it. Must not know locks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import BandstandError
from bandstand.store.job_logins.lock_holders import LockHolders, Overlong, shut_out
from bandstand.store.rows.submission_rows import submission_of_run
from bandstand.store.store import Store
from bandstand.submissions.job_instructions import refuse_job

__all__ = ["LockWatch"]

_LOOK_SECONDS = 5.0
_TIMES = 3
"""That a run may be freed of what it holds within `_MEMORY_SECONDS`; then its job counts as one that does harm."""
_MEMORY_SECONDS = 600.0
_log = logging.getLogger(__name__)


class LockWatch:
    """Looks who waits for jobs, from `start` to the end of the process."""

    def __init__(self, store: Store, holders: LockHolders | None = None):
        """`holders` has a patience of its own, for tests."""
        self._store = store
        self._holders = holders or LockHolders()
        self._ended_at: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_TIMES))

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._watch, daemon=True).start()

    def look(self, connection: Connection) -> list[Overlong]:
        """Free what jobs have held for too long. A job that does it again and again is shut out.

        Args:
            connection: in autocommit, and nobody else's.
        """
        ended = self._holders.look(connection)
        for run in dict.fromkeys(one.run for one in ended):
            name = submission_of_run(connection, run) or run
            for one in (each for each in ended if each.run == run):
                about = {"study": name}
                _log.warning("%s: its job held %s; that connection of its is ended", name, one.held, extra=about)
            self._count(connection, run, name)
        return ended

    def _count(self, connection: Connection, run: str, name: str) -> None:
        now, times = time.monotonic(), self._ended_at[run]
        times.append(now)
        if len(times) < _TIMES or now - times[0] > _MEMORY_SECONDS:
            return
        shut_out(connection, run)
        refuse_job(self._store, run, "its code kept locks of the database that others waited for, again and again")
        _log.warning("%s: its job has held up others %d times; it is ended", name, _TIMES, extra={"study": name})

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            try:
                with self._store.database.reading() as connection:
                    connection.detach()  # at hand even while all others of this process wait
                    while True:
                        self.look(connection)
                        pause.wait(_LOOK_SECONDS)
            except (BandstandError, psycopg.Error, sa.exc.SQLAlchemyError) as error:
                _log.debug("%s", error)  # whoever works with the database says that it is away
                pause.wait(_LOOK_SECONDS)
