"""Waits for the queue to change, by PostgreSQL's LISTEN, without asking again and again.

Knows the channel. A notification that is lost with its connection costs only time: whoever waits does so with a limit.
"""

from __future__ import annotations

import threading

import psycopg
import sqlalchemy as sa

from bandstand.errors import BandstandError
from bandstand.store import tables
from bandstand.store.store import Store

__all__ = ["QueueWatch"]

_CHECK_SECONDS = 60.0
"""Between two looks whether the connection still lives."""
_AGAIN_SECONDS = 5.0


class QueueWatch:
    """Something to wait for: the queue has changed, or `wake` was called."""

    def __init__(self, store: Store):
        self._store = store
        self._changed = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def wake(self) -> None:
        """End the waiting; may be called from a signal handler."""
        self._changed.set()

    def wait(self, timeout_seconds: float) -> None:
        """Wait for a change since the last time."""
        self._changed.wait(timeout_seconds)
        self._changed.clear()

    def _listen(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._hear()
            except (BandstandError, psycopg.Error, sa.exc.SQLAlchemyError):
                pause.wait(_AGAIN_SECONDS)  # whoever works with the database says that it is away

    def _hear(self) -> None:
        with self._store.database.connection() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            connection.detach()  # it must not go back to the others, still listening
            connection.execute(sa.text(f"LISTEN {tables.QUEUE_CHANNEL}"))
            self._changed.set()  # what happened before
            while True:
                for _ in driver.notifies(timeout=_CHECK_SECONDS):
                    self._changed.set()
                connection.execute(sa.text("SELECT 1"))
