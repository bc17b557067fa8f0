"""Who asks: the token that a request carries, as a bearer token or behind a browser's cookie.

Knows tokens, roles and cookies. Must not know what is asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from bandstand.errors import TOKEN_NEEDED, NotAllowedError, NotLoggedInError
from bandstand.store.accounts import Role, TokenRecord
from bandstand.store.store import Store

__all__ = ["COOKIE", "Admin", "Submitter", "Viewer", "authenticate", "check_may_change", "requires", "store_of"]

COOKIE = "bandstand_session"
_bearer = HTTPBearer(auto_error=False, description="A token made by `bandstand token create`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The cookie that the login page sets in a browser.")


def store_of(request: Request) -> Store:
    """The server's store."""
    store: Store = request.app.state.store
    return store


async def authenticate(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> TokenRecord:
    """The token of whoever asks.

    Raises:
        NotLoggedInError: no token that is good.
    """
    found: TokenRecord | None = None
    if bearer is not None:
        found = await request.app.state.known_tokens.find(bearer.credentials)
    elif cookie is not None:
        found = await run_in_threadpool(request.app.state.sessions.token_of, cookie, request)
    if found is None:
        raise NotLoggedInError(TOKEN_NEEDED)
    request.state.token = found
    return found


def requires(role: Role) -> Callable[..., Awaitable[TokenRecord]]:
    """A dependency: whoever asks, with at least this role.

    Raises:
        NotLoggedInError: no token that is good.
        NotAllowedError: one of a lesser role.
    """

    async def check(token: Annotated[TokenRecord, Depends(authenticate)]) -> TokenRecord:
        if token.role < role:
            raise NotAllowedError(
                f"this needs the role {role}; your token has the role {token.role}: ask an admin for another token"
            )
        return token

    return check


Viewer = Annotated[TokenRecord, Depends(requires(Role.VIEWER))]
Submitter = Annotated[TokenRecord, Depends(requires(Role.SUBMITTER))]
Admin = Annotated[TokenRecord, Depends(requires(Role.ADMIN))]


def check_may_change(token: TokenRecord, submitter: str | None, name: str) -> None:
    """Refuse to let somebody change what is another's.

    Args:
        token: of whoever asks.
        submitter: whose it is; None if nobody submitted it.
        name: of it, for the message.

    Raises:
        NotAllowedError: it is another's, and the token no admin's.
    """
    if token.role < Role.ADMIN and submitter != token.user_name:
        whose = (
            f"belongs to {submitter}" if submitter else "belongs to nobody, because it was started on the command line"
        )
        raise NotAllowedError(f"submitters can change only their own studies; {name!r} {whose}: ask an admin")
