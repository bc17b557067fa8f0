"""The journal: makes a study's events durable, in batches, and lets follow what may follow.

Knows the store's writer and its threads. Must not know trainers, nor why anything was decided.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from bandstand import stored_files
from bandstand.errors import BandstandError, ServiceError
from bandstand.search.search import Search
from bandstand.store.rows.event_rows import Rows
from bandstand.store.study_writer import StudyWriter
from bandstand.trials.events import Event
from bandstand_workers.coordinator.recording.checkpoint_sweep import CheckpointSweep

__all__ = ["Journal"]

_CATCH_UP_SECONDS = 30.0
"""Between two attempts to make up for what Optuna's tables have missed."""
_log = logging.getLogger(__name__)


class Journal:
    """Whoever waits for `durable` at the same time shares one transaction, so the cost per event falls with the load.

    The database and Optuna's tables have a thread each: an event loop never waits for either, and nobody waits for
    Optuna's tables at all.
    """

    def __init__(self, search: Search, writer: StudyWriter, on_failure: Callable[[], None]):
        """`on_failure` is called when nothing can be stored any more; `failure` says why."""
        self.failure: BandstandError | None = None
        self._search = search
        self._writer = writer
        self._on_failure = on_failure
        self._database = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._optuna = ThreadPoolExecutor(1, thread_name_prefix="optuna")
        self._optuna_lags = False
        self._caught_up_at = -_CATCH_UP_SECONDS
        self._sweep = CheckpointSweep(search)
        self._waiters: list[asyncio.Future[None]] = []
        self._dirty = asyncio.Event()

    async def durable(self) -> None:
        """Wait until every event so far is stored.

        Raises:
            BandstandError: it cannot be; see `failure`.
        """
        if self.failure:
            raise self.failure
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        self._dirty.set()
        await done

    async def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run something of the writer's in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._database, work, *arguments)

    async def write_batches(self) -> None:
        """Store what there is, over and over; ends only when it is cancelled or storing fails."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            waiters, self._waiters = self._waiters, []
            events = self._search.take_events()
            # Now, as the search stands with these events: what it decides while they are written may yet be lost.
            superfluous = self._sweep.due(events)
            try:
                if events:
                    rows = self._writer.rows_from(events, self._search.history)
                    await self.call(self._writer.write, rows)
                    self._let_follow(events, rows, superfluous)
            except Exception as error:  # noqa: BLE001  # nothing more can be stored, so nothing more may be told
                self._fail(error, waiters)
                return
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def bring_optuna_up_to_date(self) -> None:
        """Wait until Optuna's tables say all that is stored, and make up for what they missed."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._optuna, lambda: None)  # all that was queued is done now
        if self._optuna_lags:
            await loop.run_in_executor(self._optuna, self._writer.catch_up_mirror, self._search.history)
            self._optuna_lags = False

    async def close(self) -> None:
        """Give the study back."""
        self._optuna.shutdown()
        await self.call(self._writer.close)
        self._database.shutdown()

    def _fail(self, error: Exception, waiters: list[asyncio.Future[None]]) -> None:
        _log.error("the study cannot be stored", exc_info=error)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        failure = error if isinstance(error, BandstandError) else ServiceError(f"it cannot be stored: {lines[0]}")
        self.failure = failure
        for waiter in [*waiters, *self._waiters]:
            if not waiter.done():
                waiter.set_exception(failure)
        self._on_failure()

    def _let_follow(self, events: list[Event], rows: Rows, superfluous: Mapping[int, Collection[int]]) -> None:
        """What may follow once a batch is stored: Optuna's tables, and the end of files that nobody needs any more."""
        if not self._optuna_lags:
            self._optuna.submit(self._writer.mirror, events, rows).add_done_callback(self._note_optuna)
        elif time.monotonic() - self._caught_up_at > _CATCH_UP_SECONDS:
            # Somebody deleted the study there, or wrote into it: what was missed is in the history.
            self._optuna_lags, self._caught_up_at = False, time.monotonic()
            history = copy.deepcopy(self._search.history)  # it goes on while the thread reads
            self._optuna.submit(self._writer.catch_up_mirror, history).add_done_callback(self._note_optuna)
        for trial, needed in superfluous.items():
            self._database.submit(self._forget, trial, needed).add_done_callback(_log_failure)

    async def forget_checkpoints(self) -> None:
        """Remove every checkpoint of the study: it is over."""
        await self.call(self._forget, None, ())

    def _forget(self, trial: int | None, needed: Collection[int]) -> None:
        for uri in self._writer.forget_checkpoints(trial, needed):
            stored_files.try_to_delete(uri)

    def _note_optuna(self, future: Future[None]) -> None:
        if future.exception() is not None:
            self._optuna_lags = True
            _log_failure(future)


def _log_failure(future: Future[None]) -> None:
    if future.exception() is not None:
        _log.error("background work failed", exc_info=future.exception())
