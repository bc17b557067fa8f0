"""The job's side of its login: it takes the login up by giving it a password that nobody else knows.

Knows a URL and how a password is changed. Must not know where the URL comes from.
"""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from bandstand.errors import DatabaseUnreachableError
from bandstand.store.connecting import describe

__all__ = ["encrypted", "has_password", "take_up_login"]

_CONNECT_SECONDS = 10


def take_up_login(login: str, address: str | None = None) -> str:
    """Change the password of a login, so that whoever has seen the first one gets in no more.

    Args:
        login: URL with its user and first password; a secret.
        address: a URL by which this machine reaches the database, where `login` has the server's; a secret.

    Returns:
        The URL to use from now on; a secret.

    Raises:
        DatabaseUnreachableError: it does not answer, or no longer lets this login in.
    """
    first = make_url(login)
    if address:
        first = make_url(address).set(username=first.username, password=first.password)
        first = first.difference_update_query(("user", "password", "passfile", "service", "sslcert", "sslkey"))
    first = first.set(drivername="postgresql")
    new = secrets.token_hex(32)
    url = first.render_as_string(hide_password=False)
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
            statement = f"ALTER ROLE CURRENT_USER PASSWORD '{encrypted(connection, str(first.username), new)}'"
            connection.execute(statement.encode())
    except psycopg.OperationalError as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise DatabaseUnreachableError(
            f"the database must let this job in by the login that the server made for it; {describe(url)} does not: "
            f"{lines[-1].strip()}. If somebody else has used the login, look who has Ray's token"
        ) from None
    return first.set(password=new).render_as_string(hide_password=False)


def encrypted(connection: psycopg.Connection[Any], user: str, password: str) -> str:
    """A password as PostgreSQL keeps it, so that not even the statement's log shows it."""
    return connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


def has_password(url: str) -> bool:
    """Whether a URL lets whoever reads it in."""
    parsed = make_url(url)
    return bool(parsed.password or parsed.query.get("password"))
