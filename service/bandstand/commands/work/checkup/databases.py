"""The database: whether it answers, its versions and schema, what this user may do, and its clock.

Knows PostgreSQL and the store's own rules on versions. Must not write anything into it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.commands.work.checkup.finding import Finding, ok, problem, warning
from bandstand.errors import BandstandError
from bandstand.locations import bandstand_home, database_url, ray_address
from bandstand.store import connecting, embedded
from bandstand.store.tables import SCHEMA

__all__ = ["examine_database"]

_CLOCK_SECONDS = 5.0
"""More than a computer whose clock is set by the network is ever off."""
_FEW_CONNECTIONS = 20
_PART = "database"


def examine_database() -> Iterator[Finding]:
    """The one that the environment names, else the embedded one if it was ever made."""
    url = database_url()
    if url is None:
        if ray_address() is not None:
            yield problem(
                _PART, "RAY_ADDRESS names a cluster, and the embedded database can be reached on this machine only",
                "set BANDSTAND_DATABASE_URL to a PostgreSQL server",
            )  # fmt: skip
        folder = bandstand_home() / "postgres"
        if not (folder / "PG_VERSION").exists():
            yield ok(_PART, f"an embedded PostgreSQL will be made in {folder}")
            return
    try:
        engine = connecting.connect(url or embedded.embedded_url(), any_schema=True)
    except BandstandError as error:
        yield from _unreachable(error, url)
        return
    try:
        with engine.connect() as connection:
            yield from _examine(connection, "the embedded PostgreSQL" if url is None else connecting.describe(url))
    finally:
        engine.dispose()


def _unreachable(error: BandstandError, url: str | None) -> Iterator[Finding]:
    """An error's line, whose last part says what to do."""
    text = str(error)
    message, _, advice = text.rpartition(". " if ". " in text else ": ")
    if url is not None and "BANDSTAND_DATABASE_URL" not in advice:
        message, advice = text, "correct BANDSTAND_DATABASE_URL"
    yield problem(_PART, message, advice)


def _examine(connection: Connection, what: str) -> Iterator[Finding]:
    server = connection.execute(sa.text("SHOW server_version")).scalar_one()
    yield ok(_PART, f"{what} answers: PostgreSQL {str(server).split()[0]}")
    yield _schema(connection)
    yield from _rights(connection)
    yield _clock(connection)
    yield from _connections(connection)


def _schema(connection: Connection) -> Finding:
    revision, head = connecting.revision_of(connection), connecting.newest_revision()
    if revision is None:
        return ok("schema", f"the database is empty; the first command makes the schema, revision {head}")
    if revision < head:
        advice = "stop the studies, then run `bandstand db upgrade`"
        return problem("schema", f"it is at revision {revision}, and this Bandstand needs {head}", advice)
    if revision > head:
        advice = "upgrade this Bandstand: pip install --upgrade bandstand"
        return problem("schema", f"it is at revision {revision}, and this Bandstand knows {head} at most", advice)
    return ok("schema", f"revision {head}")


def _rights(connection: Connection) -> Iterator[Finding]:
    """What the user of the URL may do; superusers may do everything."""
    may = connection.execute(
        sa.text(
            "SELECT has_database_privilege(current_database(), 'CREATE') AS makes, "
            "to_regnamespace(:schema) IS NOT NULL AS there, "
            "to_regnamespace(:schema) IS NOT NULL AND has_schema_privilege(:schema, 'USAGE') AS uses"
        ),
        {"schema": SCHEMA},
    ).one()
    user = connection.execute(sa.text("SELECT current_user")).scalar_one()
    if not may.there:
        if not may.makes:
            advice = f"GRANT CREATE ON DATABASE … TO {user}, or have its owner run `bandstand db upgrade`"
            yield problem("permissions", f"user {user!r} may not make the schema", advice)
        return
    tables = connection.execute(
        sa.text(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind = 'r' AND "
            "NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT'))"
        ),
        {"schema": SCHEMA},
    ).scalars()
    refused = sorted(tables) if may.uses else ["all of them"]
    if refused:
        told = ", ".join(refused[:4]) + (f" and {len(refused) - 4} more" if len(refused) > 4 else "")
        yield warning(
            "permissions", f"user {user!r} may not read and write these tables: {told}",
            "to run studies, use the role that owns them; for a role of jobs this is meant",
        )  # fmt: skip


def _clock(connection: Connection) -> Finding:
    before = time.time()
    there = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    after = time.time()
    off = max(0.0, before - float(there), float(there) - after)
    if off > _CLOCK_SECONDS:
        advice = "set both by NTP; leases and logins that expire go wrong otherwise"
        return warning("clock", f"this machine's clock and the database's differ by {off:.0f} s", advice)
    return ok("clock", "this machine's and the database's agree")


def _connections(connection: Connection) -> Iterator[Finding]:
    most = int(connection.execute(sa.text("SHOW max_connections")).scalar_one())
    used = int(connection.execute(sa.text("SELECT count(*) FROM pg_stat_activity")).scalar_one())
    if most - used < _FEW_CONNECTIONS:
        yield warning(
            "connections", f"the server takes {most}, and {used} are in use",
            "raise max_connections; a study takes two, a server up to 15",
        )  # fmt: skip
