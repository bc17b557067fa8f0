"""Counts what a coordinator and its trainers do with their time.

Knows a clock and the figures that are wanted. Must not know what they are for.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from bandstand.store.monitoring.coordinator_counts import CoordinatorCounts

__all__ = ["TimeUse"]


class TimeUse:
    """The figures of one coordinator's life."""

    def __init__(self, count: Callable[[], tuple[int, int]], clock: Callable[[], float] = time.monotonic):
        """`count` says how many trainers there are and how many of them are busy; call `turn` before that changes."""
        self._count = count
        self._clock = clock
        self._turned_at = clock()
        self._trainer_seconds = 0.0
        self._idle_seconds = 0.0
        self._decisions = 0
        self._decision_seconds = 0.0
        self._stores = 0
        self._store_seconds = 0.0

    def turn(self) -> None:
        """Book the time since the last call as the trainers stand."""
        now = self._clock()
        seconds, self._turned_at = now - self._turned_at, now
        trainers, busy = self._count()
        self._trainer_seconds += seconds * trainers
        self._idle_seconds += seconds * max(0, trainers - busy)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Around one decision, without what makes it durable."""
        began = self._clock()
        try:
            yield
        finally:
            self._decisions += 1
            self._decision_seconds += self._clock() - began

    async def storing(self, durable: Awaitable[None]) -> None:
        """Wait until a decision is durable."""
        began = self._clock()
        await durable
        self._stores += 1
        self._store_seconds += self._clock() - began

    def figures(self) -> CoordinatorCounts:
        """As of now."""
        self.turn()
        trainers, busy = self._count()
        return CoordinatorCounts(
            trainers=trainers,
            busy=busy,
            trainer_seconds=self._trainer_seconds,
            idle_seconds=self._idle_seconds,
            decisions=self._decisions,
            decision_seconds=self._decision_seconds,
            stores=self._stores,
            store_seconds=self._store_seconds,
        )
