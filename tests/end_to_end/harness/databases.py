"""Further databases on the server that the tests share."""

from __future__ import annotations

import sqlalchemy as sa

from bandstand.store.store import Store


def make_database(store: Store, name: str) -> str:
    """A new database on the session's server."""
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    return store.database.url.replace("/bandstand?", f"/{name}?")
