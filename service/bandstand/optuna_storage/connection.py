"""One connection to PostgreSQL, made when it is first needed and again when it has broken.

Keeps the URL, which is a secret: it is in no message, no repr and no pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import make_url

from bandstand.errors import DatabaseUnreachableError

__all__ = ["Connection", "StorageConnection"]

_CONNECT_TIMEOUT_SECONDS = 5
Connection = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")


class StorageConnection:
    """A database, and the transaction that is open on it, if any. Not thread-safe.

    Raises, from any method that takes statements:
        DatabaseUnreachableError: the connection broke and could not be made again.
    """

    def __init__(self, url: str):
        """`url` is a secret."""
        parsed = make_url(url).set(drivername="postgresql")
        self._url = parsed.render_as_string(hide_password=False)
        self._name = f"database {parsed.database!r} at {parsed.host or parsed.query.get('host') or 'localhost'}"
        self._connection: Connection | None = None
        self.generation = 0
        """How many connections there have been. Locks that were taken on an earlier one are gone."""

    def __repr__(self) -> str:
        return f"Database({self._name})"

    def __getstate__(self) -> NoReturn:
        """A pickle would carry the password, and the process that reads it would be a second writer."""
        raise TypeError("a storage's connection cannot be pickled: open a storage in the other process instead")

    def ask(self, work: Callable[[Connection], T]) -> T:
        """Run statements in the open transaction, or in a new one, and leave it open.

        A connection that turns out to have broken since it was last used is made again.
        """
        connection = self._connected()
        first = connection.info.transaction_status is TransactionStatus.IDLE
        try:
            return work(connection)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            if not first:
                raise self._lost() from None
        return self._again(work)

    def commit(self, work: Callable[[Connection], None]) -> None:
        """Run statements in the open transaction, or in a new one, and make all that is in it durable.

        Args:
            work: run a second time, on a new connection, where the first one broke. It is not known then whether the
                first time became durable; so it must be harmless to repeat.
        """

        def attempt(connection: Connection) -> None:
            work(connection)
            connection.commit()

        connection = self._connected()
        try:
            attempt(connection)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            self._again(attempt)

    def roll_back(self) -> None:
        """End the open transaction, if there is one, without keeping anything."""
        connection = self._connection
        if connection is None or connection.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            connection.rollback()
        except psycopg.OperationalError:
            self.close()

    def close(self) -> None:
        """Give the connection back; the next statement makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _again(self, work: Callable[[Connection], T]) -> T:
        connection = self._connected()
        try:
            return work(connection)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            raise self._lost() from None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = psycopg.connect(self._url, connect_timeout=_CONNECT_TIMEOUT_SECONDS)
                self.generation += 1
            except psycopg.Error as error:
                # Not the driver's own words about a URL that it cannot read: they quote it.
                reason = (
                    str(error).strip().splitlines()[-1] if isinstance(error, psycopg.OperationalError) else "bad URL"
                )
                raise DatabaseUnreachableError(f"the database must answer; {self._name} does not: {reason}") from None
        return self._connection

    def _lost(self) -> DatabaseUnreachableError:
        return DatabaseUnreachableError(
            f"the connection to {self._name} broke during a transaction, and nothing was stored: try again when the "
            "database is back"
        )
