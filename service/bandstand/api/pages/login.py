"""Lets a browser in, and out again.

Knows the form, its protection and the cookie. Must not know what the token allows.

The form is protected by a cookie whose value it repeats, and by what the browser says of where it stood: nobody can log
somebody else in as himself. The token is sent once, and the browser keeps a signed cookie in its place.
"""

from __future__ import annotations

import hmac
import math
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from bandstand.api.access.authentication import COOKIE, store_of
from bandstand.api.access.failed_logins import FailedLogins
from bandstand.api.access.same_origin import is_same_origin
from bandstand.api.pages.addresses import safe_target
from bandstand.api.pages.rendering import render
from bandstand.api.settings import ServerSettings

__all__ = ["router"]

router = APIRouter()
_FORM_COOKIE = "bandstand_login"
_FORM_SECONDS = 3600


@router.get("/login")
def login_form(request: Request, next: str = "/") -> Response:
    """The form."""
    return _form(request, next)


@router.post("/login")
def log_in(
    request: Request,
    token: Annotated[str, Form(max_length=200)] = "",
    csrf: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=4000)] = "/",
) -> Response:
    """Check the token and begin a session."""
    logins: FailedLogins = request.app.state.failed_logins
    address = request.client.host if request.client else ""
    expected = request.cookies.get(_FORM_COOKIE)
    says_where = "origin" in request.headers or "sec-fetch-site" in request.headers
    if not _same(expected, csrf) or (says_where and not is_same_origin(request.headers)):
        why = "This form was too old or came from another page. Please try again, and allow cookies."
        return _form(request, next, 403, why)
    found = store_of(request).accounts.find(token.strip())
    wait = math.ceil(logins.seconds_to_wait(address))
    if found is None and wait:  # a good token is let in meanwhile: another one at this address may have guessed
        answer = _form(
            request, next, 429, f"There were too many failed attempts from this address. Try again in {wait} s."
        )
        answer.headers["Retry-After"] = str(wait)
        return answer
    if found is None:
        logins.add(address)
        why = "This token is not valid: it is incomplete, has expired or was revoked."
        return _form(request, next, 401, why)
    settings: ServerSettings = request.app.state.settings
    answer = RedirectResponse(safe_target(next), 303)
    answer.set_cookie(
        COOKIE, request.app.state.sessions.begin(found), max_age=int(settings.session_hours * 3600), httponly=True,
        samesite="lax", secure=settings.secure_cookies,
    )  # fmt: skip
    answer.delete_cookie(_FORM_COOKIE)
    return answer


@router.post("/logout")
def log_out(request: Request, csrf: Annotated[str, Form(max_length=200)] = "") -> Response:
    """End the browser's session; asked for from elsewhere, nothing happens."""
    answer = RedirectResponse("/login", 303)
    expected = request.app.state.sessions.csrf_of(request.cookies.get(COOKIE, ""))
    if expected is not None and not _same(expected, csrf):
        return RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _form(request: Request, target: str, status: int = 200, error: str | None = None) -> Response:
    nonce = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(16)  # one for all tabs
    answer = render(request, "login.html", status, target=safe_target(target), nonce=nonce, error=error)
    answer.set_cookie(
        _FORM_COOKIE, nonce, max_age=_FORM_SECONDS, httponly=True, samesite="strict",
        secure=request.app.state.settings.secure_cookies,
    )  # fmt: skip
    return answer


def _same(expected: str | None, given: str) -> bool:
    """Whether a form sends back what it should; not where nothing is to be sent back."""
    if not expected:
        return False
    return hmac.compare_digest(expected.encode(), given.encode())
