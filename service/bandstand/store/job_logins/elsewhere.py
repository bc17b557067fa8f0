"""What a job's login has left in other databases of the same PostgreSQL, which every role may enter by default.

Knows where PostgreSQL notes that. Must not know when a login is dropped.
"""

from __future__ import annotations

import logging

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

__all__ = ["drop_owned_elsewhere"]

_CONNECT_SECONDS = 5
_log = logging.getLogger(__name__)


def drop_owned_elsewhere(connection: Connection, url: str, run: str) -> None:
    """Drop what a login owns outside of this database, such as large objects: PostgreSQL keeps its role until then.

    A database that the server's role does not get into is passed over.

    Args:
        connection: of the server's role.
        url: the server's; a secret.
        run: the login.
    """
    for database in connection.execute(_DATABASES, {"run": run}).scalars().all():
        there = make_url(url).set(drivername="postgresql", database=database).render_as_string(hide_password=False)
        try:
            with psycopg.connect(there, connect_timeout=_CONNECT_SECONDS) as other:
                other.execute(f'DROP OWNED BY "{run}"'.encode())
        except psycopg.Error as error:
            _log.debug("%s stays in database %s: %s", run, database, error)


_DATABASES = sa.text(
    "SELECT DISTINCT datname FROM pg_shdepend JOIN pg_database ON pg_database.oid = pg_shdepend.dbid "
    "JOIN pg_roles ON pg_roles.oid = refobjid AND refclassid = CAST('pg_authid' AS regclass) "
    "WHERE rolname = :run AND datname <> current_database()"
)
