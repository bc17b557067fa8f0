"""Optuna Dashboard itself, behind the server's login.

Knows which of its addresses there are, and what may be written there. Must not know what it shows.

Our event log is the truth and Optuna's tables follow it, so nobody, admins included, may change a study there: not
delete, rename, tell, nor set attributes. What has ended is deleted on its own page, which deletes all of it. Notes, of
studies and of trials, contradict nothing and may be written by submitters. The dashboard's script sends no token of a
form of ours, so what comes with a cookie must come from a page of this server, as the browser says.
"""

from __future__ import annotations

import re
import threading
import time
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.accounts import Role
from service.api.authentication import COOKIE, Viewer, store_of
from service.api.pages.addresses import is_same_origin
from service.optuna_mirror import open_storage
from service.store import Store

__all__ = ["Dashboard", "router"]

router = APIRouter()
_NOTE = re.compile(r"/api/studies/\d+(/\d+)?/note")
_STUDY = re.compile(r"/(?:api/studies|csv)/(\d+)")
_LARGEST_NOTE = 100_000
"""Bytes of a request that writes one."""
_THREADS = 4
_KEPT_STUDIES = 8
_KEPT_SECONDS = 600.0
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: "
    "blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Its plots compile functions from text and its components write styles; no script of a page runs all the same."""


class Dashboard:
    """The dashboard as an ASGI application, made when it is first asked for.

    It keeps all trials of each study that anybody has looked at, for as long as it lives. So it is made anew after ten
    minutes, or when it has shown several studies, which costs the next request what a first one costs.
    """

    def __init__(self, store: Store):
        self._store = store
        self._lock = threading.Lock()
        self._storage: Any = None
        self._app: ASGIApp | None = None
        self._made_at = 0.0
        self._shown: set[str] = set()

    def app_for(self, path: str) -> ASGIApp:
        """The application that answers a request for this path. Blocks the first time."""
        found = _STUDY.match(path)
        with self._lock:
            shown = self._shown | ({found[1]} if found else set())
            is_old = time.monotonic() - self._made_at > _KEPT_SECONDS
            if self._app is None or is_old or len(shown) > _KEPT_STUDIES:
                self._app, self._made_at = self._make(), time.monotonic()
                shown = {found[1]} if found else set()
            self._shown = shown
            return self._app

    def _make(self) -> ASGIApp:
        import optuna_dashboard
        from a2wsgi import WSGIMiddleware

        if self._storage is None:
            self._storage = open_storage(self._store.url)
        app: ASGIApp = WSGIMiddleware(optuna_dashboard.wsgi(self._storage), workers=_THREADS)
        return app


class _Passed(Response):
    """An answer that another application gives."""

    def __init__(self, app: ASGIApp):
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        headers = MutableHeaders(scope=scope)
        headers.setdefault("Accept-Encoding", "identity")  # without one it fails

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = _POLICY
            await send(message)

        await self._app(scope, receive, send_with_policy)


@router.get("/dashboard")
@router.head("/dashboard")
@router.get("/dashboard/{rest:path}")
@router.head("/dashboard/{rest:path}")
@router.get("/api/{rest:path}")
@router.head("/api/{rest:path}")
@router.get("/csv/{rest:path}")
@router.head("/csv/{rest:path}")
@router.get("/static/{rest:path}")
@router.head("/static/{rest:path}")
@router.get("/favicon.ico")
def look(request: Request, token: Viewer) -> Response:
    """What the dashboard shows."""
    return _Passed(_dashboard_of(request).app_for(request.url.path))


@router.api_route("/api/{rest:path}", methods=["POST", "PUT", "PATCH", "DELETE"])
def change(request: Request) -> Response:
    """Refuse what the dashboard would change, but for notes."""
    role = _role_of_writer(request)
    if not _NOTE.fullmatch(request.url.path) or request.method != "PUT":
        return _refusal(
            403, "a study is not changed in Optuna Dashboard, notes aside: its own page stops, extends and deletes it"
        )
    if role < Role.SUBMITTER:
        return _refusal(403, f"it takes the role submitter to write notes; this token is a {role}'s")
    if not 0 < int(request.headers.get("content-length") or 0) <= _LARGEST_NOTE:
        return _refusal(413, f"a note must have at most {_LARGEST_NOTE:,} bytes and say how many: shorten it")
    return _Passed(_dashboard_of(request).app_for(request.url.path))


def _role_of_writer(request: Request) -> Role:
    """The role of whoever wants to change something.

    Raises:
        HTTPException: 401 without a good token, 403 if a browser sends the cookie from elsewhere.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = store_of(request).accounts.find(given)
    elif not is_same_origin(request.headers):
        raise HTTPException(403, "a change must come from a page of this server; the browser says otherwise")
    else:
        found = request.app.state.sessions.holder_of(request.cookies.get(COOKIE, ""))
    if found is None:
        raise HTTPException(401, "a good token is needed; log in again", {"WWW-Authenticate": "Bearer"})
    return found.role


def _refusal(status: int, why: str) -> JSONResponse:
    """A problem that the dashboard's own script can read: it shows `reason`."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": why, "reason": why}
    return JSONResponse(body, status, media_type="application/problem+json")


def _dashboard_of(request: Request) -> Dashboard:
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard
