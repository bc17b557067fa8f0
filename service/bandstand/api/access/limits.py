"""How much one may ask: so many requests a second, so many wrong tokens a minute, so large and so slow a body.

Knows who asks by address and token alone, before anybody has looked either up. Must not know what is asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandstand.api.access.credentials import Credential, credential_in
from bandstand.api.bounded_mapping import keep_latest
from bandstand.api.schemas.problem_details import problem
from bandstand.api.settings import ServerSettings
from bandstand.errors import PassingError
from bandstand.submissions import MAX_CODE_BYTES

__all__ = ["Buckets", "LimitBodies", "LimitRequests"]

_MAX_BODY_BYTES = 10**6
_REMEMBERED = 10_000
_LOOKED_UP_AT_ONCE = 4
"""Tokens from addresses that have to wait."""
_LEAST_BYTES_PER_SECOND = 10_000
"""At which a body must arrive, on average, after its first seconds."""
_TOO_SLOW = "the body of a request must arrive at 10 kB/s or more; this one is slower: use a better connection"
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

    Whoever sends wrong tokens is soon answered 429 at their address. A token that is not known yet is looked up all the
    same, a few at a time: a good one is let in, so that nobody is shut out by a neighbour who guesses. Guessing gains
    nothing by it: a token has 256 random bits.
    """

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, find: Callable[[Credential, Request], Awaitable[str | None]]
    ):
        """`find` tells the id of the token that a credential is good for; None if it is not."""
        self.app = app
        self._find = find
        self._requests = Buckets(settings.requests_per_second, settings.requests_per_second * 10)
        self._failures = Buckets(settings.failures_per_minute / 60, settings.failures_per_minute)
        self._good: OrderedDict[Credential, str] = OrderedDict()
        self._looking_up = asyncio.Semaphore(_LOOKED_UP_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer that it is too much."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address, credential = _address(scope), credential_in(scope)
        wait = await self._wait_seconds(scope, address, credential)
        if wait:
            seconds = str(math.ceil(wait))
            told = f"too many requests in a short time; try again in {seconds} s"
            await problem(429, told, {"Retry-After": seconds})(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._learn(address, credential, message["status"], scope)
            await send(message)

        await self.app(scope, receive, watch)

    async def _wait_seconds(self, scope: Scope, address: str, credential: Credential | None) -> float:
        token = None if credential is None else self._good.get(credential)
        if token is not None:
            return self._requests.take(token)
        wait = self._requests.take(address)
        if credential is None or scope["path"] in _PROBES:
            return wait
        wait = wait or self._failures.wait_seconds(address)
        if wait and (token := await self._looked_up(credential, scope)) is not None:
            keep_latest(self._good, credential, token, _REMEMBERED)
            return self._requests.take(token)
        return wait

    async def _looked_up(self, credential: Credential, scope: Scope) -> str | None:
        async with self._looking_up:
            try:
                return await self._find(credential, Request(scope))
            except PassingError:  # the database is away
                return None

    def _learn(self, address: str, credential: Credential | None, status: int, scope: Scope) -> None:
        if credential is None:
            return
        token = scope.get("state", {}).get("token")
        if status == 401:
            self._good.pop(credential, None)
            self._failures.take(address)
        elif token is not None:
            keep_latest(self._good, credential, token.id, _REMEMBERED)


class LimitBodies:
    """Refuses a body that is too slow or too large: at once if its length is told, else as soon as it gets too long."""

    def __init__(self, app: ASGIApp, settings: ServerSettings):
        self.app = app
        self._seconds = settings.body_seconds

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
        received, is_complete, began = 0, False, time.monotonic()

        async def count() -> Message:
            nonlocal received, is_complete
            if is_complete:  # what comes now is that the client has gone, whenever that is
                return await receive()
            allowed = self._seconds + received / _LEAST_BYTES_PER_SECOND - (time.monotonic() - began)
            try:
                async with asyncio.timeout(max(0.0, allowed)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, _TOO_SLOW, {"Connection": "close"}) from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
                if received > limit:
                    raise HTTPException(413, told, {"Connection": "close"})
            return message

        await self.app(scope, count, send)


def _address(scope: Scope) -> str:
    """Where a request comes from; all whose address is not known share one."""
    return str(scope["client"][0]) if scope.get("client") else "unknown"
