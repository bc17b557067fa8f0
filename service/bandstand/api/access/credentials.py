"""What a request says of who asks: a bearer token or a session's cookie, by its digest.

Knows how both travel, and reads them as the dependencies of `authentication` do. Must not know what is allowed. What
else stands in a header makes no difference: other cookies, or the case of a word, are no other credential.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import Scope

from bandstand.api.access.authentication import COOKIE
from bandstand.api.access.known_tokens import KnownTokens
from bandstand.api.access.sessions import Sessions

__all__ = ["Credential", "Credentials", "credential_in"]


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A token or a cookie, whether it is good or not; compared by its digest."""

    kind: str
    digest: bytes
    text: str = field(repr=False, compare=False)


def credential_in(scope: Scope) -> Credential | None:
    """What a request carries; None if it carries neither."""
    request = Request(scope)
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() == "bearer" and token:
        return _of("token", token)
    cookie = request.cookies.get(COOKIE)
    return _of("cookie", cookie) if cookie else None


def _of(kind: str, text: str) -> Credential:
    return Credential(kind=kind, digest=hashlib.sha256(text.encode()).digest(), text=text)


class Credentials:
    """Which of them are good."""

    def __init__(self, tokens: KnownTokens, sessions: Sessions):
        self._tokens = tokens
        self._sessions = sessions

    async def find(self, credential: Credential, request: Request) -> str | None:
        """The id of the token that a credential is good for; None if it is not good."""
        if credential.kind == "token":
            found = await self._tokens.find(credential.text)
        else:
            found = await run_in_threadpool(self._sessions.token_of, credential.text, request)
        return None if found is None else found.id
