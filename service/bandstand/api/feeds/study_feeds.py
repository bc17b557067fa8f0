"""What happens to studies, told to all who watch them: one poll for each process, however many watch.

Knows what a watched study was like when last looked at. Must not know how its watchers are told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool

from bandstand.api.schemas.answers import Progress
from bandstand.errors import DatabaseUnreachableError, StudyNotFoundError
from bandstand.store.reading.study_list import Stamp
from bandstand.store.store import Store
from bandstand.study.states import StudyState

__all__ = ["Feeds", "News"]

_POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class News:
    """How a study stands."""

    events: int
    state: StudyState
    progress: str | None
    """The answer's `Progress` as JSON; None for a study that was deleted."""


@dataclass
class _Feed:
    """A watched study."""

    news: News
    stamp: Stamp | None
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, news: News, stamp: Stamp | None) -> None:
        """Wake all watchers."""
        self.news, self.stamp = news, stamp
        self.changed.set()
        self.changed = asyncio.Event()


class Feeds:
    """The studies that somebody watches, polled together as long as anybody does."""

    def __init__(self, store: Store):
        self._store = store
        self._feeds: dict[str, _Feed] = {}
        self._poller: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        """Who watches now."""
        return sum(feed.watchers for feed in self._feeds.values())

    async def watch(self, name: str, seconds: float) -> AsyncGenerator[News | None, None]:
        """How a study stands now and after each change, until it has ended; None after so many seconds without one.

        A database that is away is waited for, once the first news have come.

        Raises:
            StudyNotFoundError: there is none of this name.
            DatabaseUnreachableError: it is away at the beginning.
        """
        feed = self._feeds.get(name)
        if feed is None:
            news, stamp = await run_in_threadpool(self._read, name)
            feed = self._feeds.setdefault(name, _Feed(news, stamp))
        feed.watchers += 1
        try:
            self._keep_polling()
            told = None
            while told is None or not told.state.has_ended:
                changed = feed.changed
                if feed.news is not told:
                    told = feed.news
                    yield told
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), seconds)
                except TimeoutError:
                    yield None
        finally:
            feed.watchers -= 1
            if not feed.watchers and self._feeds.get(name) is feed:
                del self._feeds[name]

    def _keep_polling(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while self._feeds:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self._look()
            except DatabaseUnreachableError:
                continue
            except Exception:  # noqa: BLE001  # of whatever kind: the others' feeds must go on
                _log.exception("watching studies")

    async def _look(self) -> None:
        watched = dict(self._feeds)
        stamps = await run_in_threadpool(self._store.stamps, list(watched))
        for name, feed in watched.items():
            stamp = stamps.get(name)
            if stamp is not None and stamp == feed.stamp:
                continue
            try:
                feed.tell(*await run_in_threadpool(self._read, name))
            except StudyNotFoundError:
                feed.tell(News(events=feed.news.events, state=StudyState.DELETED, progress=None), None)

    def _read(self, name: str) -> tuple[News, Stamp]:
        progress = self._store.progress(name)
        told = Progress.model_validate(progress).model_dump_json()
        news = News(events=progress.events, state=StudyState(progress.state), progress=told)
        return news, Stamp(progress.state, progress.events)
