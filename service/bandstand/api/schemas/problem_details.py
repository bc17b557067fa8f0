"""Errors as answers: every one is a problem in the form of RFC 9457, in one line for people.

Knows our errors and what HTTP wants beside a status. Must not know what was asked. Routes refuse with an error of ours;
`HTTPException` is for what only HTTP has: kinds of content, sizes of bodies, a Retry-After of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandstand.api.schemas.described import Described
from bandstand.errors import BandstandError, DatabaseRightsError, DatabaseUnreachableError, answer_to

__all__ = ["AnswerFailures", "ProblemDetails", "answers", "problem", "register_problems"]

_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}
"""What goes with a status."""
_log = logging.getLogger(__name__)


class ProblemDetails(Described):
    """An error: the rule, the value and the way out."""

    type: str = "about:blank"
    title: str
    """Name of the status."""
    status: int
    detail: str
    """One line with the rule, the value and the way out."""
    differences: list[str] | None = None
    """If a name is taken: a line for each setting that differs from the stored one."""


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, differences: Sequence[str] | None = None
) -> JSONResponse:
    """An answer that says what is wrong."""
    told = None if differences is None else list(differences)
    body = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=detail, differences=told)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, media_type="application/problem+json")


def answers(*statuses: int, same: type[BaseModel] | None = None) -> dict[int | str, dict[str, Any]]:
    """What a route may answer with besides what it is for, for the description of the interface.

    Args:
        statuses: problems.
        same: what comes with 200, where what was asked for is there already.
    """
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": _DESCRIPTIONS[status], "content": content}
        for status in (*statuses, *((408,) if 413 in statuses else ()))
    }
    if same is not None:
        found[200] = {"model": same, "description": "It exists already and is the same."}
    return found


_DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "The token is missing or not valid.",
    403: "The token's role does not allow it.",
    404: "Nothing has this name.",
    409: "The request contradicts what the server has.",
    408: "The request arrives too slowly.",
    413: "The request is too large.",
    415: "The server does not read this kind of content.",
    422: "The request breaks a rule. The detail names it.",
    429: "There are too many requests. Try again after Retry-After seconds.",
    503: "The database does not answer. Try again after Retry-After seconds.",
}


def register_problems(app: FastAPI) -> None:
    """Have the application answer every error as a problem."""

    @app.exception_handler(BandstandError)
    async def of_ours(request: Request, error: BandstandError) -> JSONResponse:
        if isinstance(error, DatabaseUnreachableError):  # whose message has the database's address
            return _unavailable()
        if isinstance(error, DatabaseRightsError):
            _log.error("%s", error)
            return problem(500, "the server's database refuses this: whoever runs it finds the error in its log")
        status = answer_to(type(error)).status
        return problem(status, str(error), _HEADERS.get(status), getattr(error, "differences", None))

    @app.exception_handler(RequestValidationError)
    async def of_the_form(request: Request, error: RequestValidationError) -> JSONResponse:
        first, *others = error.errors()
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        more = f" (and {len(others)} more error{'s' * (len(others) > 1)})" if others else ""
        return problem(422, f"{where or 'the request'}: {first['msg']}{more}")

    @app.exception_handler(StarletteHTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(sa.exc.TimeoutError)
    async def of_the_pool(request: Request, error: sa.exc.TimeoutError) -> JSONResponse:
        return _unavailable()

    @app.exception_handler(sa.exc.OperationalError)
    async def of_the_database(request: Request, error: sa.exc.OperationalError) -> JSONResponse:
        return _unavailable()


class AnswerFailures:
    """Answers what nobody has foreseen, so that this too passes everything that other answers pass."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that fails before an answer has begun."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            _log.exception("%s %s", scope["method"], scope["path"])
            await problem(500, "the server made a mistake: whoever runs it finds the error in its log")(
                scope, receive, send
            )


def _unavailable() -> JSONResponse:
    status = answer_to(DatabaseUnreachableError).status
    return problem(status, "the database does not answer; try again in a moment", _HEADERS[status])
