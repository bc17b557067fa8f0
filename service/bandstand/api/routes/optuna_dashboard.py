"""Optuna Dashboard itself, behind the server's login.

Knows which of its addresses there are, and what may be written there. Must not know what it shows.

Our event log is the truth and Optuna's tables follow it, so nobody, admins included, may change a study there: not
delete, rename, tell, nor set attributes. What has ended is deleted on its own page, which deletes all of it. Notes, of
studies and of trials, contradict nothing and may be written by submitters. The dashboard's script sends no token of a
form of ours, so what comes with a cookie must come from a page of this server, as the browser says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from bandstand.api.access.authentication import COOKIE, Viewer, store_of
from bandstand.api.access.same_origin import is_same_origin
from bandstand.errors import NotAllowedError, NotLoggedInError
from bandstand.optuna_dashboard.large_studies import count_trials, refusal_words
from bandstand.running.child_death import ending_of
from bandstand.store.accounts import Role
from bandstand.store.store import Store

__all__ = ["Dashboard", "register_dashboard"]

router = APIRouter()
_NOTE = re.compile(r"/api/studies/\d+(/\d+)?/note")
_STUDY = re.compile(r"/(api/studies|csv)/(?P<id>\d{1,9})(/.*)?")
"""Addresses for which the dashboard loads all trials of a study."""
_LARGEST_NOTE = 100_000
"""Bytes of a request that writes one."""
_AT_ONCE = 8
"""Requests, so that the dashboard never takes all of the server's threads."""
_PLACE_SECONDS = 20.0
_ANSWER_SECONDS = 120.0
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: "
    "blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Its plots compile functions from text and its components write styles; no script of a page runs all the same."""


_PASSED_ON = ("accept", "accept-encoding", "content-type", "if-modified-since", "range")
_PASSED_BACK = (
    "accept-ranges", "content-disposition", "content-encoding", "content-length", "content-range", "content-type",
    "last-modified", "location",
)  # fmt: skip


class Dashboard:
    """The process that has the dashboard; started when it is first asked for, and again when it has ended."""

    def __init__(self, store: Store):
        self._url = store.database.url
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._process: subprocess.Popen[bytes] | None = None
        self._client: httpx.Client | None = None

    def ask(self, request: Request, body: bytes = b"") -> Response:
        """Pass a request on; neither cookie nor token goes with it. Blocks.

        Raises:
            HTTPException: 503, it does not answer.
        """
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise _not_now("it is too busy")
        try:
            answer = self._send(request, body)
        except BaseException:
            self._places.release()
            raise
        headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
        content = self._pieces(answer)
        return StreamingResponse(content, answer.status_code, headers | {"Content-Security-Policy": _POLICY})

    def _send(self, request: Request, body: bytes) -> httpx.Response:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        headers.setdefault("accept-encoding", "identity")  # without one it fails
        for last in (False, True):
            client = self._ready_client()
            asked = client.build_request(
                request.method, request.url.path, params=request.url.query.encode(), headers=headers, content=body
            )
            try:
                return client.send(asked, stream=True)
            except httpx.TransportError as error:  # it may just have ended, having been idle
                if last:
                    raise _not_now("it does not answer") from error
                self._end()
        raise AssertionError

    def _pieces(self, answer: httpx.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()
        finally:
            answer.close()
            self._places.release()

    def _ready_client(self) -> httpx.Client:
        with self._lock:
            if self._process is None or self._process.poll() is not None or self._client is None:
                self._start()
            assert self._client is not None
            return self._client

    def _start(self) -> None:
        path = Path(tempfile.mkdtemp(prefix="bandstand-")) / "dashboard"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bandstand.optuna_dashboard.dashboard_process", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"BANDSTAND_DATABASE_URL": self._url},
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise _not_now(f"its process {ending_of(self._process.wait(10))}; the server's log has the error")
        self._client = httpx.Client(
            # A connection for each request, so that one that is open is one that is answered.
            transport=httpx.HTTPTransport(uds=str(path), limits=httpx.Limits(max_keepalive_connections=0)),
            base_url="http://dashboard",
            timeout=_ANSWER_SECONDS,
        )

    def _end(self) -> None:
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                self._process.wait(10)
            self._process = None

    def close(self) -> None:
        """End the process."""
        self._end()


def _not_now(why: str) -> HTTPException:
    return HTTPException(
        503, f"Optuna Dashboard cannot be shown now: {why}; try again in a moment", {"Retry-After": "5"}
    )


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
    """What the dashboard shows, but for studies that would be too much for it."""
    study = _STUDY.fullmatch(request.url.path)
    if study is not None:
        refusal = refusal_words(count_trials(store_of(request).database, int(study["id"])))
        if refusal is not None:
            return _refusal(413, refusal)
    return _dashboard_of(request).ask(request)


@router.api_route("/api/{rest:path}", methods=["POST", "PUT", "PATCH", "DELETE"])
async def change(request: Request) -> Response:
    """Refuse what the dashboard would change, but for notes."""
    role = await run_in_threadpool(_role_of_writer, request)
    if not _NOTE.fullmatch(request.url.path) or request.method != "PUT":
        return _refusal(
            403, "Optuna Dashboard can change only notes here: stop, extend or delete the study on its own page"
        )
    if role < Role.SUBMITTER:
        return _refusal(
            403,
            f"writing notes needs the role submitter; your token has the role {role}: ask an admin for another token",
        )
    if not 0 < int(request.headers.get("content-length") or 0) <= _LARGEST_NOTE:
        return _refusal(413, f"a note must have at most {_LARGEST_NOTE:,} bytes and a Content-Length: shorten it")
    return await run_in_threadpool(_dashboard_of(request).ask, request, await request.body())


def _role_of_writer(request: Request) -> Role:
    """The role of whoever wants to change something.

    Raises:
        NotLoggedInError: no token that is good.
        NotAllowedError: a browser sends the cookie from elsewhere.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = store_of(request).accounts.find(given)
    elif not is_same_origin(request.headers):
        raise NotAllowedError(
            "a change must come from a page of this server, and the browser names another page: reload this page"
        )
    else:
        found = request.app.state.sessions.holder_of(request.cookies.get(COOKIE, ""))
    if found is None:
        raise NotLoggedInError("a valid token is needed: log in again")
    return found.role


def _refusal(status: int, why: str) -> JSONResponse:
    """A problem that the dashboard's own script can read: it shows `reason`."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": why, "reason": why}
    return JSONResponse(body, status, media_type="application/problem+json")


def _dashboard_of(request: Request) -> Dashboard:
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard


def register_dashboard(app: FastAPI) -> None:
    """Add Optuna Dashboard to the application."""
    app.state.dashboard = Dashboard(app.state.store)
    app.include_router(router, include_in_schema=False)
