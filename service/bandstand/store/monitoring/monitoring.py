"""What monitoring asks of a database. Knows who counts what. Must not know what to conclude from it."""

from __future__ import annotations

from bandstand.store.database import Database
from bandstand.store.monitoring.coordinator_counts import CoordinatorStatus, read_coordinator_status
from bandstand.store.monitoring.database_counts import DatabaseCounts, read_database_counts
from bandstand.store.rows.study_rows import get_row

__all__ = ["Monitoring"]


class Monitoring:
    """The figures of one database.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, database: Database):
        """Use `Store.monitoring`."""
        self._database = database

    def counts(self) -> DatabaseCounts:
        """How much there is of everything."""
        with self._database.reading() as connection:
            return read_database_counts(connection)

    def coordinator(self, name: str) -> CoordinatorStatus | None:
        """What the coordinator of a study has counted; None where none has it.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self._database.reading() as connection:
            return read_coordinator_status(connection, get_row(connection, name)._mapping["id"])
