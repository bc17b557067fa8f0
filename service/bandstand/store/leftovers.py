"""What deleted studies have left on disks and in buckets: removed, however often whoever removes it is killed.

Knows the notes that a deletion leaves, and how files go. Must not know who deletes a study.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

import sqlalchemy as sa

from bandstand import stored_files, stray_files
from bandstand.errors import BandstandError, one_line
from bandstand.store import tables
from bandstand.store.database import Database

__all__ = ["remove_leftovers", "try_to_remove_leftovers"]

_log = logging.getLogger(__name__)


def remove_leftovers(database: Database, ids: Collection[int] | None = None) -> None:
    """Remove the files of deleted studies: of all, or of these notes. What cannot be removed is tried again next time.

    Raises:
        DatabaseUnreachableError: the server does not answer.
    """
    leftover = tables.leftover
    query = sa.select(leftover) if ids is None else sa.select(leftover).where(leftover.c.id.in_(ids))
    with database.reading() as connection:
        rows = list(connection.execute(query))
    gone = [row.id for row in rows if _is_removed(row.folders, row.files)]
    if gone:
        with database.connection() as connection, connection.begin():
            connection.execute(sa.delete(leftover).where(leftover.c.id.in_(gone)))


def try_to_remove_leftovers(database: Database, ids: Collection[int] | None = None) -> None:
    """As `remove_leftovers`; if the database is away, the log says so, and the next server tries again."""
    try:
        remove_leftovers(database, ids)
    except BandstandError as error:
        _log.warning("files of deleted studies stay for now: %s", error)


def _is_removed(folders: list[str], files: list[str]) -> bool:
    gone = [stored_files.try_to_delete(file) for file in files]
    for folder in folders:
        try:
            stray_files.remove_strays(folder, ())
            gone.append(not stray_files.files_in(folder))
        except Exception as error:  # noqa: BLE001  # of whatever file system it is
            _log.warning("the folder %s of a deleted study cannot be looked through: %s", folder, one_line(error))
            gone.append(False)
    return all(gone)
