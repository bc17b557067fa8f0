"""uvicorn's HTTP connection, which ends where a client does not get its request's head across in time.

Knows uvicorn's protocol classes, which it takes one of. uvicorn itself limits only the time between two requests. Must
not know what is asked. A body has its own limit, in `api.access.limits`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = ["PromptRequests"]

_HEAD_SECONDS = 30.0
_Protocol: Any = AutoHTTPProtocol
"""The faster of those that are installed."""


class PromptRequests(_Protocol):  # type: ignore[misc]  # which one it is turns out at run time
    """A connection that is closed where the head of a request takes too long."""

    _ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, not for ever."""
        super().connection_made(transport)
        self._expect(transport)

    def data_received(self, data: bytes) -> None:
        """Take what comes; a head that is not complete yet must be soon."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._relax()
        elif self._ending is None:
            self._expect(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._relax()
        super().connection_lost(exc)

    def _expect(self, transport: asyncio.BaseTransport) -> None:
        self._ending = asyncio.get_running_loop().call_later(_HEAD_SECONDS, transport.close)

    def _relax(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
