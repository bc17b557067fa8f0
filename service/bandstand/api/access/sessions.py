"""What a browser keeps once somebody has logged in: a signed cookie that names a token, and a form's own token.

Knows signatures and ages. The cookie never holds the token's secret, so that who steals it cannot use the API for
longer than the session; a token that is revoked ends all of its sessions.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict, dataclass

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from bandstand.store.accounts import TokenRecord
from bandstand.store.store import Store

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "Sessions"]

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, kw_only=True)
class _Session:
    """What a cookie says."""

    token: str
    """The token's id."""
    csrf: str


class Sessions:
    """Signs and reads cookies. All servers of a database share the key."""

    def __init__(self, store: Store, hours: float):
        self._store = store
        self._seconds = int(hours * 3600)
        self._serializer: URLSafeTimedSerializer | None = None

    def begin(self, token: TokenRecord) -> str:
        """The cookie of a new session."""
        return str(self._signer().dumps(asdict(_Session(token=token.id, csrf=secrets.token_urlsafe(16)))))

    def token_of(self, cookie: str, request: Request) -> TokenRecord | None:
        """Whose session it is; None if it is none, too old, or a change is asked for without the form's own token.

        A browser sends the cookie with whatever another site makes it ask for; it cannot make it send this header.
        """
        session = self._read(cookie)
        if session is None:
            return None
        if request.method not in _SAFE:
            given = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), session.csrf.encode()):
                return None
        return self._store.accounts.find_by_id(session.token)

    def holder_of(self, cookie: str) -> TokenRecord | None:
        """Whose session it is, for whoever has made sure by other means that no other site has asked."""
        session = self._read(cookie)
        return None if session is None else self._store.accounts.find_by_id(session.token)

    def csrf_of(self, cookie: str) -> str | None:
        """What the forms of this session must send back; None if it is no session."""
        session = self._read(cookie)
        return None if session is None else session.csrf

    def _read(self, cookie: str) -> _Session | None:
        try:
            said = self._signer().loads(cookie, max_age=self._seconds)
        except BadSignature:
            return None
        return _Session(token=str(said["token"]), csrf=str(said["csrf"]))

    def _signer(self) -> URLSafeTimedSerializer:
        if self._serializer is None:
            self._serializer = URLSafeTimedSerializer(self._store.accounts.signing_key(), salt="bandstand session")
        return self._serializer
