"""One PostgreSQL database: its address, and connections to it. The only module that opens it.

Knows how a connection is had, and what is said when there is none. Must not know what is kept there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.engine import Connection, Engine

from bandstand.store import connecting

__all__ = ["Database"]


class Database:
    """One database. Thread-safe, but not to be carried into a forked process.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
        DatabaseRightsError: the login may not do it, or the database takes no writes.
    """

    def __init__(self, url: str):
        """`url` is a secret.

        Raises:
            InputError: it is not the URL of a PostgreSQL.
            DatabaseUnreachableError: no answer, or no login.
            DatabaseVersionError: server or schema too old or too new.
        """
        self.url = url
        self.engine = connecting.connect(url)
        """For whoever keeps a connection for long; others use `connection` or `reading`."""
        self._readers = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection, for the modules that know a part of the tables."""
        with self._connect(self.engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `connection`, for queries alone: without a transaction around them, which saves two ways to the server."""
        with self._connect(self._readers) as connection:
            yield connection

    def in_one_line(self) -> AbstractContextManager[None]:
        """As `connecting.in_one_line`, for what is done here with a connection of another kind."""
        return connecting.in_one_line(self.url)

    @contextmanager
    def _connect(self, engine: Engine) -> Iterator[Connection]:
        with connecting.in_one_line(self.url), engine.connect() as connection:
            yield connection
