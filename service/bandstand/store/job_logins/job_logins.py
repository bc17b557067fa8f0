"""Makes, drops and sweeps the database logins of jobs, and finds out whether this database can have them.

Knows PostgreSQL's roles. Must not know how a login gets to its job, nor which rows a job may see: `rights` does.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, Connection, make_url

from bandstand.store import tables
from bandstand.store.database import Database
from bandstand.store.job_logins import rights
from bandstand.store.job_logins.elsewhere import drop_owned_elsewhere
from bandstand.store.job_logins.taking_up import encrypted

__all__ = ["JobLogins", "NoLoginError"]

_CONNECT_SECONDS = 5
_CONNECTIONS = 40
"""Of one job at the same time: PostgreSQL has a hundred for all, by default."""
_LOCK_SECONDS = 60
"""That the tables may be busy when their rules are made: longer than `lock_holders` lets a job keep them busy."""
_FORGETS = ("user", "password", "passfile", "service", "sslcert", "sslkey", "sslpassword")
"""Parts of a URL's query that are the server's own."""
_log = logging.getLogger(__name__)


class NoLoginError(Exception):
    """Jobs cannot have logins of their own here; its message says why, and what an administrator may do."""


class JobLogins:
    """The logins of the jobs of one database.

    A login is called as its run, and is a member of a role that holds the grants. Its first password is known to all
    servers of the database, and good until the job has taken it up.

    Raises, from any method:
        NoLoginError: the database does not let this server do that.
        DatabaseUnreachableError: it went away.
    """

    def __init__(self, database: Database):
        """Nothing is done yet."""
        self._database = database
        self._key = b""
        self.are_possible = False
        """Whether jobs can have them here, as `prepare` has found."""

    def prepare(self) -> None:
        """Arrange all that logins need, and try one; harmless to repeat.

        Raises:
            NoLoginError: jobs cannot have logins of their own here.
        """
        self._refuse_if_open()
        self._make_optuna_tables()
        with self._may_fail() as connection, connection.begin():
            self._lock(connection)
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
            self._arrange(connection)
        probe = f"bandstand-0-0-{secrets.token_hex(6)}"
        try:
            url = self.create(probe)
            with self._may_fail() as connection, connection.begin():
                until = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace(":", r"\:")
                connection.execute(sa.text(f"ALTER ROLE \"{probe}\" VALID UNTIL '{until}'"))
            self._try(url)
        finally:
            self.drop(probe)
        self.are_possible = True

    def create(self, run: str) -> str:
        """Make the login of a run, if it is not there.

        Returns:
            Its URL, a secret: this server's own with another user and password.
        """
        password = self._first_password(run)
        with self._may_fail() as connection, connection.begin():
            self._lock(connection)
            if not connection.execute(_EXISTS, {"name": run}).scalar():
                self._create(connection, run, password)
        return _as_login(self._database.url, run, password).render_as_string(hide_password=False)

    def drop(self, run: str) -> None:
        """End the login of a run and whoever is connected by it; one that is not there is no error."""
        self._drop([run])

    def sweep(self) -> list[str]:
        """Drop the logins of runs that have ended, whose servers did not; returns their names."""
        run, ended = tables.run.c, tables.run.c.ended_at.is_not(None)
        with self._may_fail() as connection:
            found = connection.execute(_LOGINS, {"group": _group(connection)}).scalars().all()
            going = connection.execute(sa.select(run.id).where(run.id.in_(found), ~ended)).scalars().all()
        left = sorted(set(found) - set(going))
        for run in left:
            self._disable(run)
        dropped = []
        for run in left:
            try:
                self._drop([run])
                dropped.append(run)
            except NoLoginError as error:  # it has left something in a database that this server does not get into
                _log.warning("the login %s stays without the right to log in: %s", run, error)
        return dropped

    # -- inside -----------------------------------------------------------------------------------------------------

    def _lock(self, connection: Connection) -> None:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.JOB_LOGINS_LOCK)))

    def _refuse_if_open(self) -> None:
        """Find out whether the database asks for passwords; before anything is arranged in it.

        Raises:
            NoLoginError: it does not, so that a job could log in as anybody.
        """
        wrong = make_url(self._database.url).set(drivername="postgresql", password=secrets.token_hex(8))
        parts = {name: value for name, value in wrong.query.items() if name not in ("password", "passfile")}
        url = wrong.set(query=parts).render_as_string(hide_password=False)
        try:
            psycopg.connect(url, connect_timeout=_CONNECT_SECONDS).close()
        except psycopg.Error:
            return
        raise NoLoginError(
            "the database lets the server in without a password, as the embedded one does; set BANDSTAND_DATABASE_URL "
            "to one that asks for it"
        )

    def _make_optuna_tables(self) -> None:
        with self._database.connection() as connection:
            if rights.optuna_schema(connection) is not None:
                return
        from bandstand.optuna_storage.schema import make_tables

        with self._database.in_one_line():
            make_tables(self._database.url)

    def _arrange(self, connection: Connection) -> None:
        who = connection.execute(sa.text(_SELF)).one()
        if not (who.rolsuper or who.rolcreaterole):
            raise NoLoginError(
                f"the server's role may not make roles; an administrator allows it by: ALTER ROLE {who.name} CREATEROLE"
            )
        group = _group(connection)
        theirs = rights.optuna_schema(connection)
        assert theirs is not None, "make_tables has made them"
        if not connection.execute(_EXISTS, {"name": group}).scalar():
            connection.execute(sa.text(f"CREATE ROLE {group} NOLOGIN"))
            connection.execute(sa.text(f"COMMENT ON ROLE {group} IS 'jobs of Bandstand in {who.database}'"))
        rights.separate_optuna_rows(connection, theirs)
        rights.grant_all(connection, group, theirs)
        allowed = {"schema": theirs, "group": group}
        if connection.execute(_MAY_CREATE, allowed).scalar():
            _try_alone(connection, f"REVOKE CREATE ON SCHEMA {theirs} FROM PUBLIC")
        if connection.execute(_MAY_CREATE, allowed).scalar():
            raise NoLoginError(
                f"every role may make functions in schema {theirs}, which the server would call; an administrator ends "
                f"that by: REVOKE CREATE ON SCHEMA {theirs} FROM PUBLIC"
            )
        _try_alone(connection, f"GRANT CONNECT ON DATABASE {who.database} TO {group}")

    def _create(self, connection: Connection, run: str, password: str) -> None:
        driver: Any = connection.connection.driver_connection
        verifier = encrypted(driver, run, password).replace(":", r"\:")  # else a parameter would begin there
        connection.execute(sa.text(_LOGIN.format(run=run, password=verifier, group=_group(connection))))
        theirs = rights.optuna_schema(connection)
        connection.execute(sa.text(f'ALTER ROLE "{run}" SET search_path = {theirs}'))
        if not connection.execute(sa.text("SELECT pg_has_role(current_user, :run, 'USAGE')"), {"run": run}).scalar():
            connection.execute(sa.text(f'GRANT "{run}" TO current_user'))  # to end its connections, later

    def _drop(self, runs: Iterable[str]) -> None:
        for run in runs:
            self._disable(run)
            with self._may_fail() as connection, connection.begin():
                if connection.execute(_EXISTS, {"name": run}).scalar():
                    connection.execute(_END, {"run": run})
                    drop_owned_elsewhere(connection, self._database.url, run)
                    connection.execute(sa.text(f'DROP OWNED BY "{run}"'))
                    connection.execute(sa.text(f'DROP ROLE "{run}"'))

    def _disable(self, run: str) -> None:
        with self._may_fail() as connection, connection.begin():
            self._lock(connection)
            if connection.execute(_EXISTS, {"name": run}).scalar():
                connection.execute(sa.text(f'ALTER ROLE "{run}" NOLOGIN'))

    def _try(self, url: str) -> None:
        """Use a login as a job would.

        Raises:
            NoLoginError: it does not get in, or gets too far.
        """
        url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, autocommit=True) as connection:
                row = connection.execute(_REACH.encode()).fetchone()
        except psycopg.Error as error:
            with self._database.connection() as connection:
                group = _group(connection)
            raise NoLoginError(
                f"a login that the server makes for a job is refused ({_last_line(error)}); let members of {group} in "
                "by password, in pg_hba.conf or in the pooler"
            ) from None
        if row is None or any(row):
            raise NoLoginError(
                "a job's login would see tokens or other studies: look what is granted to PUBLIC in this database"
            )

    def _first_password(self, run: str) -> str:
        """The same on all servers, because a job may have been submitted by one that has gone since."""
        if not self._key:
            row = {"name": "job logins", "value": secrets.token_bytes(32)}
            with self._database.connection() as connection, connection.begin():
                connection.execute(insert(tables.secret).values(row).on_conflict_do_nothing())
                query = sa.select(tables.secret.c.value).where(tables.secret.c.name == row["name"])
                self._key = bytes(connection.execute(query).scalar_one())
        return hmac.new(self._key, run.encode(), "sha256").hexdigest()

    @contextmanager
    def _may_fail(self) -> Iterator[Connection]:
        """A connection whose statements the database may refuse."""
        with self._database.connection() as connection:
            try:
                yield connection
            except sa.exc.DBAPIError as error:
                if isinstance(error.orig, psycopg.errors.LockNotAvailable):
                    raise NoLoginError("the tables are busy; the next start of the server tries again") from None
                if isinstance(error, sa.exc.OperationalError):
                    raise
                raise NoLoginError(f"the database refuses: {_last_line(error.orig)}") from None


_SELF = """
    SELECT rolsuper, rolcreaterole, quote_ident(rolname) AS name, quote_ident(current_database()) AS database
    FROM pg_roles WHERE rolname = current_user
"""
_EXISTS = sa.text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :name)")
_MAY_CREATE = sa.text("SELECT has_schema_privilege(:group, CAST(:schema AS regnamespace)::oid, 'CREATE')")
_LOGIN = (
    """
    CREATE ROLE "{run}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT
    CONNECTION LIMIT """
    + f"{_CONNECTIONS}"
    + """ PASSWORD '{password}' IN ROLE {group}
"""
)
_LOGINS = sa.text(
    "SELECT member.rolname FROM pg_auth_members JOIN pg_roles member ON member.oid = pg_auth_members.member "
    "JOIN pg_roles held ON held.oid = pg_auth_members.roleid WHERE held.rolname = :group "
    "AND member.rolname ~ '^bandstand-[0-9]+-[0-9]+-[0-9a-f]{12}$' "
    # Not one that another server is just trying.
    "AND (member.rolname !~ '^bandstand-0-' OR member.rolvaliduntil < clock_timestamp())"
)
_END = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :run")
_REACH = f"""
    SELECT has_table_privilege('{tables.SCHEMA}.token', 'SELECT'),
    has_table_privilege('{tables.SCHEMA}.secret', 'SELECT'),
    EXISTS (SELECT FROM {tables.SCHEMA}.study), EXISTS (SELECT FROM studies),
    (SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = session_user)
"""


def _group(connection: Connection) -> str:
    """The role with the grants. Roles belong to all databases of a PostgreSQL, so each database has one of its own."""
    oid = connection.execute(sa.text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar_one()
    return f"bandstand_jobs_{oid}"


def _as_login(url: str, run: str, password: str) -> URL:
    parsed = make_url(url)
    parts = {name: value for name, value in parsed.query.items() if name not in _FORGETS}
    return parsed.set(username=run, password=password, query=parts)


def _try_alone(connection: Connection, statement: str) -> None:
    """Run what may be refused without harm to the transaction."""
    try:
        with connection.begin_nested():
            connection.execute(sa.text(statement))
    except sa.exc.DBAPIError:
        _log.debug("refused: %s", statement)


def _last_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "no reason given"
