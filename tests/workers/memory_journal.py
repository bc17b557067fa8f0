"""A stand-in for a journal, for tests of what is decided rather than stored."""

from __future__ import annotations

from typing import Any


class MemoryJournal:
    """Stores nothing."""

    failure = None

    async def durable(self) -> None:
        pass

    async def call(self, work: Any, *arguments: Any) -> Any:
        return work(*arguments)
