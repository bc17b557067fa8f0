"""Connects to PostgreSQL and makes sure that its schema is the one this code knows.

Knows URLs, versions and migrations. Must not know what a study is.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from bandstand.errors import DatabaseUnreachableError, DatabaseVersionError, InputError
from bandstand.store.embedded import is_embedded
from bandstand.store.tables import SCHEMA

__all__ = ["connect", "describe", "migrate", "unreachable"]

CONNECT_TIMEOUT_SECONDS = 5
POOL_SIZE = 15
POOL_TIMEOUT_SECONDS = 5
"""For a connection that others in this process have."""
TCP_TIMEOUT_MILLISECONDS = 10_000
"""After which a server that does not take what it is sent counts as gone, rather than after the kernel's minutes."""
OLDEST_SERVER = 13
_MIGRATION_LOCK = 0x62616E64  # "band"
_MIGRATIONS = Path(__file__).parent / "migrations"


def connect(url: str, *, any_schema: bool = False) -> Engine:
    """An engine on a database whose schema is up to date; an empty database is given the schema.

    Args:
        url: postgresql://…; a secret, not repeated in any message.
        any_schema: accept an older or newer schema, for `db upgrade`.

    Raises:
        InputError: it is not the URL of a PostgreSQL.
        DatabaseUnreachableError: no answer, or no login.
        DatabaseVersionError: server or schema too old or too new.
    """
    engine = sa.create_engine(
        _driver_url(url),
        pool_pre_ping=True,
        pool_size=POOL_SIZE,  # opened as they are needed, and kept: opening one takes longer than most queries
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "tcp_user_timeout": TCP_TIMEOUT_MILLISECONDS},
    )
    try:
        with engine.connect() as connection:
            _check_server(connection)
            if not any_schema:
                _check_schema(connection)
    except sa.exc.OperationalError as error:
        raise unreachable(url, error) from None
    return engine


def unreachable(url: str, error: sa.exc.OperationalError) -> DatabaseUnreachableError:
    """What to say when a connection cannot be had, or breaks."""
    if is_embedded(url):
        return DatabaseUnreachableError(
            f"the embedded database must run; it was stopped ({_reason(error)}): the same command starts it again"
        )
    return DatabaseUnreachableError(
        f"the database must answer; {describe(url)} does not: {_reason(error)}. "
        "Start it, or correct BANDSTAND_DATABASE_URL"
    )


def describe(url: str) -> str:
    """A database URL for people: without its password."""
    parsed = make_url(url)
    host = parsed.host or parsed.query.get("host") or "localhost"
    port = f":{parsed.port}" if parsed.port else ""
    return f"database {parsed.database!r} at {host}{port}"


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring our schema up to date, or create it.

    Returns:
        The revision before (None: there was no schema) and after.

    Raises:
        DatabaseVersionError: the schema is newer than this code.
    """
    from alembic import command

    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        before = _revision(connection)
        head = _head()
        if before is not None and before > head:
            raise _too_new(before, head)
        if before != head:
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            command.upgrade(_alembic_config(connection), "head")
    return before, head


def _driver_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise InputError("BANDSTAND_DATABASE_URL must be a URL such as postgresql://user@host/bandstand") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise InputError(
            f"BANDSTAND_DATABASE_URL must name a PostgreSQL server, such as postgresql://user@host/bandstand; "
            f"got {parsed.get_backend_name()}://, a database that cannot serve many writers"
        )
    return parsed.set(drivername="postgresql+psycopg")


def _check_server(connection: Connection) -> None:
    version = connection.execute(sa.text("SHOW server_version_num")).scalar_one()
    if int(version) < OLDEST_SERVER * 10_000:
        raise DatabaseVersionError(
            f"the database must be PostgreSQL {OLDEST_SERVER} or newer; got {int(version) // 10_000}: upgrade it"
        )


def _check_schema(connection: Connection) -> None:
    revision, head = _revision(connection), _head()
    if revision is None:
        migrate(connection.engine)
    elif revision > head:
        raise _too_new(revision, head)
    elif revision < head:
        raise DatabaseVersionError(
            f"the database's schema must be at revision {head}; it is at {revision}: run `bandstand db upgrade`"
        )


def _too_new(revision: str, head: str) -> DatabaseVersionError:
    return DatabaseVersionError(
        f"the database's schema must be at revision {head} or older; it is at {revision}, from a newer "
        "Bandstand: upgrade this Bandstand"
    )


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version", schema=SCHEMA):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {SCHEMA}.alembic_version")).scalar()


def _head() -> str:
    """The newest revision here; read from the file names, because loading Alembic's scripts takes longer."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _alembic_config(connection: Connection):  # type: ignore[no-untyped-def]  # alembic is imported only when needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _reason(error: sa.exc.OperationalError) -> str:
    """The driver's last line, without what may hold a password."""
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"
