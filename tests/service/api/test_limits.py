"""A body has to arrive: what is too slow is answered, whatever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from bandstand.api import ServerSettings, make_app
from bandstand.store.accounts import Role
from bandstand.store.store import Store

Receive = Callable[[], Awaitable[Message]]


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def drop_by_drop() -> Message:
    await asyncio.sleep(0.005)
    return {"type": "http.request", "body": b" ", "more_body": True}


def asked(
    app: FastAPI, token: str, method: str, path: str, kind: str, receive: Receive
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of the answer to a request whose body comes like this."""
    sent: list[Message] = []
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", kind.encode())]
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "client": ("192.0.2.7", 1), "server": ("testserver", 80), "scheme": "http",
    }  # fmt: skip

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope, receive, send), 120))
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize("receive", [never, drop_by_drop])
@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/studies", "application/json"),
        ("PUT", f"/code/{'0' * 64}", "application/zip"),
        ("POST", "/login", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_does_not_arrive_ends_its_request(
    store: Store, receive: Receive, method: str, path: str, kind: str
) -> None:
    app = make_app(store, ServerSettings(body_seconds=0.1))
    token = store.accounts.create_token("slow", Role.SUBMITTER, days=1).text
    status, headers = asked(app, token, method, path, kind, receive)
    assert status == 408
    assert headers[b"connection"] == b"close"


def test_who_goes_on_listening_after_the_body_may_do_so_for_long(store: Store) -> None:
    app = make_app(store, ServerSettings(body_seconds=0.1))
    token = store.accounts.create_token("slow", Role.SUBMITTER, days=1).text
    heard: list[Message] = []

    async def route(scope: Any, receive: Receive, send: Any) -> None:
        assert (await receive())["more_body"] is False
        heard.append(await receive())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app.mount("/listens", route)
    pieces: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> Message:
        if pieces:
            return pieces.pop()
        await asyncio.sleep(0.3)
        return {"type": "http.disconnect"}

    status, _ = asked(app, token, "POST", "/listens/x", "application/json", receive)
    assert (status, heard) == (204, [{"type": "http.disconnect"}])
