"""What a coordinator does once a second, whatever its trainers do.

Knows the clock, and what is booked, said and heard by it. Must not know who trains what.
"""

from __future__ import annotations

import asyncio
import time

from bandstand.errors import BandstandError
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.time_use import TimeUse
from bandstand_workers.coordinator.trainers.trainer_pool import TrainerPool

__all__ = ["Heartbeat"]

_BEAT_SECONDS = 1.0
_ACCOUNT_SECONDS = 10.0
"""Between two entries of time used, where time is not limited."""


class Heartbeat:
    """Accounts for time, says that the study is alive, hears whether it is to stop or more is asked of it."""

    def __init__(self, study: OpenedStudy, pool: TrainerPool, time_use: TimeUse, *, always_trains: bool = False):
        """`always_trains`: time counts even where the pool has no trainer, because others train."""
        self.takes_requests = True
        """False while the study's end is settled, which takes them by itself."""
        self._study = study
        self._pool = pool
        self._time_use = time_use
        self._always_trains = always_trains
        self._accounted_at = time.monotonic()

    def begin(self) -> None:
        """Count time from now on."""
        self._accounted_at = time.monotonic()

    async def beat(self) -> None:
        """Go on until it is cancelled."""
        budget, signals = self._study.spec.budget, self._study.signals
        timed = budget.wall_seconds is not None or budget.gpu_hours is not None
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                if timed or time.monotonic() - self._accounted_at > _ACCOUNT_SECONDS:
                    self.account()
                    await self._study.journal.durable()
                await self._say_and_hear()
                await self._look_at_room()
            except BandstandError as error:
                signals.failure = error
            signals.wake()

    async def _say_and_hear(self) -> None:
        study = self._study
        heard = await study.journal.call(study.writer.heartbeat, self._time_use.figures())
        if heard.requests and self.takes_requests:
            await study.requests.take()
        if heard.stop:
            study.stop()

    async def _look_at_room(self) -> None:
        study = self._study
        if (
            self.takes_requests
            and not study.signals.stop_requested
            and (reason := await study.limit.look()) is not None
        ):
            study.stop(reason)

    def account(self) -> None:
        """Book the time since the last call, unless there was no trainer to train anything."""
        seconds = time.monotonic() - self._accounted_at
        self._accounted_at += seconds
        if self._always_trains or self._pool.trainers:
            gpus = self._pool.busy * self._study.spec.resources.gpus
            self._study.search.spend(wall_seconds=seconds, gpu_seconds=gpus * seconds)
