"""Around the application: errors are pages for whoever opened a page in a browser.

Knows kinds of content. Must not know what was asked for.
"""

from __future__ import annotations

from starlette.datastructures import Headers as RequestHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandstand.api.pages.addresses import login_address
from bandstand.api.pages.rendering import render
from bandstand.api.schemas.problem_details import ProblemDetails

__all__ = ["PagesForPeople", "wants_page"]

_PROBLEM = "application/problem+json"


def wants_page(method: str, headers: RequestHeaders) -> bool:
    """Whether somebody opens an address in a browser, rather than a program asking."""
    return method in ("GET", "HEAD") and "text/html" in headers.get("accept", "")


class PagesForPeople:
    """Turns a problem into a page, and "log in first" into the way there, for whoever opened a page in a browser."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http" or not wants_page(scope["method"], RequestHeaders(scope=scope)):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []
        body = bytearray()

        async def send_pages(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_problem(message):
                held.append(message)
            elif not held:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _answer(scope, held[0], bytes(body), receive, send)

        await self._app(scope, receive, send_pages)


def _is_problem(message: Message) -> bool:
    return RequestHeaders(raw=message["headers"]).get("content-type", "").startswith(_PROBLEM)


async def _answer(scope: Scope, start: Message, body: bytes, receive: Receive, send: Send) -> None:
    status, headers = int(start["status"]), RequestHeaders(raw=start["headers"])
    if status == 401:
        target = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        await RedirectResponse(login_address(target), 303)(scope, receive, send)
        return
    problem = (
        ProblemDetails.model_validate_json(body) if body else ProblemDetails(title="Error", status=status, detail="")
    )
    page = render(
        Request(scope), "problem.html", status, code=status, title=problem.title, detail=problem.detail
    )  # fmt: skip
    if "retry-after" in headers:
        page.headers["Retry-After"] = headers["retry-after"]
    await page(scope, receive, send)
