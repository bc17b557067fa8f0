"""How much one may ask: so many requests a second, so many wrong tokens a minute, so large a body.

Knows who asks by address and token alone, before anybody has looked either up. Must not know what is asked.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandstand.api.bounded_mapping import keep_latest
from bandstand.api.schemas.problem_details import problem
from bandstand.api.settings import ServerSettings
from bandstand.submissions import MAX_CODE_BYTES

__all__ = ["Buckets", "LimitBodies", "LimitRequests"]

_MAX_BODY_BYTES = 10**6
_REMEMBERED = 10_000
_PROBES = ("/healthz", "/readyz")
"""They are asked for by those who have no token, and must not be shut out by a neighbour who guesses."""


class Buckets:
    """A bucket of tokens for each who asks; it fills steadily, and each request takes one out."""

    def __init__(self, per_second: float, size: float):
        self._per_second = per_second
        self._size = max(1.0, size)
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, key: str) -> float:
        """How long until there is one to take; 0 if there is."""
        level = self._level(key, time.monotonic())
        return 0.0 if level >= 1 else (1 - level) / self._per_second

    def take(self, key: str) -> float:
        """Take one out if there is one; as `wait_seconds`."""
        now = time.monotonic()
        level = self._level(key, now)
        if level < 1:
            return (1 - level) / self._per_second
        keep_latest(self._levels, key, (level - 1, now), _REMEMBERED)
        return 0.0

    def _level(self, key: str, now: float) -> float:
        level, at = self._levels.get(key, (self._size, now))
        return min(self._size, level + (now - at) * self._per_second)


class LimitRequests:
    """Answers 429 to whoever asks too much: by token once it has proved good, before that by address.

    Who sends wrong tokens is shut out for a while without anything being looked up; whoever is known to have a good
    one is let in meanwhile, from the same address too.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings):
        self.app = app
        self._requests = Buckets(settings.requests_per_second, settings.requests_per_second * 10)
        self._failures = Buckets(settings.failures_per_minute / 60, settings.failures_per_minute)
        self._good: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer that it is too much."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address, credential = _address(scope), _credential(scope)
        is_known = credential is not None and credential in self._good
        wait = self._requests.take(credential if credential is not None and is_known else address)
        if not is_known and not wait and scope["path"] not in _PROBES:
            wait = self._failures.wait_seconds(address)
        if wait:
            seconds = str(math.ceil(wait))
            told = f"too many requests at the same time; try again in {seconds} s"
            await problem(429, told, {"Retry-After": seconds})(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._learn(address, credential, message["status"], scope)
            await send(message)

        await self.app(scope, receive, watch)

    def _learn(self, address: str, credential: str | None, status: int, scope: Scope) -> None:
        if status == 401:
            if credential is not None:
                self._good.pop(credential, None)
            self._failures.take(address)
        elif credential is not None and "token" in scope.get("state", {}):
            keep_latest(self._good, credential, None, _REMEMBERED)


class LimitBodies:
    """Refuses a body that is too large, at once if its length is told, else as soon as it gets too long."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a body that ends in an error where it gets too long."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        of_code = scope["method"] == "PUT" and scope["path"].startswith("/code/")
        limit = MAX_CODE_BYTES if of_code else _MAX_BODY_BYTES
        told = f"the body of this request must have at most {limit // 10**6} MB; this one has more: send less"
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            await problem(413, told, {"Connection": "close"})(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    raise HTTPException(413, told, {"Connection": "close"})
            return message

        await self.app(scope, count, send)


def _address(scope: Scope) -> str:
    """Where a request comes from; all whose address is not known share one."""
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def _credential(scope: Scope) -> str | None:
    """The token or cookie that is sent, as a digest; None if there is none."""
    headers = dict(scope["headers"])
    sent = headers.get(b"authorization") or headers.get(b"cookie") or b""
    return hashlib.sha256(sent).hexdigest() if sent else None
