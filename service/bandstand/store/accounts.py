"""Who may ask a server for what: tokens, each with a user's name, a role and an expiry.

Knows tokens and how they are kept: only as a digest. Must not know how they travel.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bandstand.errors import InputError
from bandstand.store import tables
from bandstand.store.database import Database

__all__ = ["Accounts", "Role", "Token", "TokenRecord"]

_PREFIX = "bandstand"
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


_VALID = sa.select(tables.token).where(
    tables.token.c.id == sa.bindparam("number"),
    tables.token.c.revoked_at.is_(None),
    tables.token.c.expires_at > sa.func.clock_timestamp(),
)
"""The token of an id, if it is good: made once, as every request asks for it."""


class Role(IntEnum):
    """What a token allows; each role may do what those before it may."""

    VIEWER = 1
    """Look at everything."""
    SUBMITTER = 2
    """Submit studies, which is to run code on the cluster; stop, resume, extend and delete one's own."""
    ADMIN = 3
    """The same with everybody's."""

    @classmethod
    def named(cls, name: str) -> Role:
        """The role of a name.

        Raises:
            InputError: there is none.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            names = ", ".join(str(role) for role in cls)
            raise InputError(f"role must be one of {names}; got {name!r}") from None

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """A token without its secret part."""

    id: str
    user_name: str
    role: Role
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Token:
    """A new token: the only time that all of it is known."""

    record: TokenRecord
    text: str
    """What the user sends; a secret."""

    def __repr__(self) -> str:
        return f"Token({self.record.id})"


class Accounts:
    """The tokens of one database.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, database: Database):
        """Use `Store.accounts`."""
        self._database = database

    def create_token(self, user_name: str, role: Role, days: float) -> Token:
        """Make a token.

        Args:
            user_name: whose.
            role: what it allows.
            days: until it expires.

        Raises:
            InputError: not a user's name, or no time to live.
        """
        if not _USER.fullmatch(user_name):
            raise InputError(
                f"a user's name must be 1 to 64 letters, digits and . _ @ + -; got {user_name!r}: choose another name"
            )
        if not 0 < days <= 3650:
            raise InputError(
                f"a token must be valid for more than 0 and at most 3650 days; got {days:g}: choose another number"
            )
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        values = {
            "id": number,
            "digest": _digest(secret),
            "user_name": user_name,
            "role": str(role),
            "expires_at": sa.func.clock_timestamp() + timedelta(days=days),
        }
        with self._database.connection() as connection, connection.begin():
            row = connection.execute(sa.insert(tables.token).values(values).returning(*tables.token.c)).one()
        return Token(record=_record_from(row), text=f"{_PREFIX}_{number}_{secret}")

    def find(self, text: str) -> TokenRecord | None:
        """The token that a user has sent, if it is one, has not expired and is not revoked."""
        prefix, _, rest = text.partition("_")
        number, _, secret = rest.partition("_")
        if prefix != _PREFIX or not secret or not re.fullmatch(r"[0-9a-f]{12}", number):
            return None
        row = self._valid(number)
        if row is None or not hmac.compare_digest(row._mapping["digest"], _digest(secret)):
            return None
        return _record_from(row)

    def find_by_id(self, number: str) -> TokenRecord | None:
        """The token of this id, if it is still good; for whoever has proved otherwise that it is the user's."""
        row = self._valid(number)
        return None if row is None else _record_from(row)

    def _valid(self, number: str) -> sa.Row[tuple[object, ...]] | None:
        with self._database.reading() as connection:
            return connection.execute(_VALID, {"number": number}).one_or_none()

    def list_tokens(self) -> list[TokenRecord]:
        """All tokens, revoked and expired ones too, the newest first."""
        query = sa.select(tables.token).order_by(tables.token.c.created_at.desc())
        with self._database.reading() as connection:
            return [_record_from(row) for row in connection.execute(query)]

    def revoke(self, which: str) -> list[TokenRecord]:
        """End a token, or all tokens of a user, at once.

        Args:
            which: a token's id, or a user's name.

        Raises:
            InputError: there is no such token that is still good.
        """
        token = tables.token
        good = sa.and_(sa.or_(token.c.id == which, token.c.user_name == which), token.c.revoked_at.is_(None))
        ended = sa.update(token).where(good).values(revoked_at=sa.func.clock_timestamp()).returning(*token.c)
        with self._database.connection() as connection, connection.begin():
            found = [_record_from(row) for row in connection.execute(ended)]
        if not found:
            raise InputError(
                f"there is no token with ID {which!r} and no user of this name; `bandstand token list` shows all"
            )
        return found

    def signing_key(self) -> bytes:
        """The key by which all servers of this database sign what browsers keep; made when first asked for."""
        row = {"name": "signing key", "value": secrets.token_bytes(32)}
        with self._database.connection() as connection, connection.begin():
            connection.execute(insert(tables.secret).values(row).on_conflict_do_nothing())
            query = sa.select(tables.secret.c.value).where(tables.secret.c.name == row["name"])
            return bytes(connection.execute(query).scalar_one())


def _digest(secret: str) -> str:
    """Plain SHA-256: the secret is 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _record_from(row: sa.Row[tuple[object, ...]]) -> TokenRecord:
    values = {name: row._mapping[name] for name in TokenRecord.__dataclass_fields__}
    return TokenRecord(**values | {"role": Role.named(values["role"])})
