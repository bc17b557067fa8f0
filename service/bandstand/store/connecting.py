"""Connects to PostgreSQL and makes sure that its schema is the one this code knows.

Knows URLs, versions and migrations. Must not know what a study is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from bandstand.errors import (
    BandstandError,
    DatabaseRightsError,
    DatabaseUnreachableError,
    DatabaseVersionError,
    InputError,
)
from bandstand.store.embedded import is_embedded
from bandstand.store.tables import SCHEMA

__all__ = [
    "connect",
    "describe",
    "error_in_one_line",
    "in_one_line",
    "migrate",
    "newest_revision",
    "revision_of",
]

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
        DatabaseRightsError: the login may not read it, or may not make the schema that is missing.
    """
    engine = sa.create_engine(
        _driver_url(url),
        pool_pre_ping=True,
        pool_size=POOL_SIZE,  # opened as they are needed, and kept: opening one takes longer than most queries
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "tcp_user_timeout": TCP_TIMEOUT_MILLISECONDS},
    )
    with in_one_line(url), engine.connect() as connection:
        _check_server(connection)
        if not any_schema:
            _check_schema(connection)
    return engine


@contextmanager
def in_one_line(url: str) -> Iterator[None]:
    """Raise what a database refuses as an error of one line; what is a mistake of ours stays as it is.

    Raises:
        DatabaseUnreachableError: no answer, or the connection broke.
        DatabaseRightsError: the login may not do it, or the database takes no writes.
        DatabaseVersionError: tables of Bandstand are missing.
    """
    try:
        yield
    except (sa.exc.DBAPIError, psycopg.Error, UnicodeEncodeError) as error:
        told = error_in_one_line(url, error)
        if told is None:
            raise
        raise told from None


def error_in_one_line(url: str, error: Exception) -> BandstandError | None:
    """What to say of an error of the driver's or SQLAlchemy's; None if it is a mistake of ours."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    where, reason = describe(url), _reason(cause)
    if _holds_unstorable_text(cause):
        return InputError(
            "text must hold no NUL character and no half of a surrogate pair, which PostgreSQL cannot store; a "
            "setting, a name or a note does: remove it there"
        )
    if state == "42501":
        return DatabaseRightsError(
            f"the database login must have the rights that docs/how-to/use-your-own-postgresql.md lists; {where} says: "
            f"{reason}. Let its administrator grant them, or correct BANDSTAND_DATABASE_URL"
        )
    if state == "25006":
        return DatabaseRightsError(
            f"the database must take writes; {where} is read-only ({reason}): name a primary server in "
            "BANDSTAND_DATABASE_URL, or end its read-only mode"
        )
    if state in ("42P01", "3F000"):
        return DatabaseVersionError(
            f"the database must have all tables of Bandstand; in {where} {reason}: restore them from a backup, or set "
            "BANDSTAND_DATABASE_URL to another database"
        )
    if state is not None and state.startswith("53"):  # disk, memory or connections are used up
        return DatabaseUnreachableError(f"the database must be able to work; {where} is not: {reason}. Make room there")
    gone = isinstance(cause, psycopg.OperationalError) or getattr(error, "connection_invalidated", False)
    if gone and is_embedded(url) and _is_down(cause):
        return DatabaseUnreachableError(
            f"the embedded database must run; it was stopped ({reason}): the same command starts it again"
        )
    if gone:
        return DatabaseUnreachableError(
            f"the database must answer; {where} does not: {reason}. Start it, or correct BANDSTAND_DATABASE_URL"
        )
    return None


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
        before = revision_of(connection)
        head = newest_revision()
        if before is not None and before > head:
            raise _too_new(before, head)
        if before != head:
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            command.upgrade(_alembic_config(connection), "head")
    return before, head


def _driver_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # not its words, which may quote the password
        raise InputError("BANDSTAND_DATABASE_URL must be a URL such as postgresql://user@host/bandstand") from None
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise InputError(
            f"the port in BANDSTAND_DATABASE_URL must be between 1 and 65535; got {parsed.port}: correct it"
        )
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
    revision, head = revision_of(connection), newest_revision()
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


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's schema; None if it has none."""
    if not sa.inspect(connection).has_table("alembic_version", schema=SCHEMA):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {SCHEMA}.alembic_version")).scalar()


def newest_revision() -> str:
    """The newest revision here; read from the file names, because loading Alembic's scripts takes longer."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _alembic_config(connection: Connection):  # type: ignore[no-untyped-def]  # alembic is imported only when needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _holds_unstorable_text(cause: BaseException | None) -> bool:
    if isinstance(cause, UnicodeEncodeError):
        return True
    by_server = getattr(cause, "sqlstate", None) in ("22P05", "22021")
    said = str(cause)
    return by_server or (isinstance(cause, psycopg.DataError) and ("NUL" in said or "surrogate" in said))


def _is_down(cause: BaseException | None) -> bool:
    """Whether no server answered, or one said that it stops or starts, rather than that it refuses us."""
    stops_or_starts = str(getattr(cause, "sqlstate", None)).startswith("57P") or "database system is" in str(cause)
    return stops_or_starts or "FATAL:" not in str(cause)


def _reason(cause: BaseException | None) -> str:
    """What PostgreSQL says, else the driver's last line; without what may hold a password."""
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    lines = [line.strip() for line in (said or str(cause)).splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    before, _, fatal = lines[-1].partition("FATAL:")
    if not said and not fatal and lines[-1].endswith("?"):  # the driver's guess follows the system's own words
        before = lines[-2].rpartition("failed:")[2] if len(lines) > 1 else before
    return (fatal or before).strip().rstrip(".?")
