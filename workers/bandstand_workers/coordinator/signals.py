"""What the parts of a coordinator, and those outside it, wait for or ask for while a study runs.

Knows wishes and news. Must not know what follows from them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bandstand.errors import BandstandError

__all__ = ["STOP_GRACE_SECONDS", "Departure", "Signals"]

STOP_GRACE_SECONDS = 60.0
"""What a trial may still take to come to the end of its epoch, once a study is to stop or its time is used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """A trainer that is to be replaced."""

    name: str
    reason: str  # for people


class Signals:
    """The signals of one study, on its coordinator's event loop."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.stop_requested = False
        """Whether the study is to pause what is under way, and end."""
        self.grace_seconds = STOP_GRACE_SECONDS
        """How long trials may take to come to the end of their epochs, once the study is to stop."""
        self.failure: BandstandError | None = None
        """Why the study cannot go on, where it cannot."""
        self.taken_up = asyncio.Event()
        """Set when the study goes on from where it stood, so that trainers may join."""
        self.departures: asyncio.Queue[Departure] = asyncio.Queue()
        """Trainers that are to be replaced, each once."""
        self._changed = asyncio.Event()

    def fail(self, error: BandstandError) -> None:
        """The study cannot go on."""
        self.failure = error
        self.wake()

    def wake(self) -> None:
        """Something has happened that may change what there is to do."""
        self._changed.set()

    async def change(self) -> None:
        """Wait until something has happened that may change what there is to do."""
        self._changed.clear()
        await self._changed.wait()
