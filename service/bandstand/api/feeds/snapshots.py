"""What many ask for again and again, kept for as long as it holds, so that it is not looked up for each of them.

Knows how long an answer holds. Must not know who asks.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

from bandstand.api.latest import keep_latest
from bandstand.api.schemas.answers import Progress
from bandstand.store.reading.study_list import StudySummary
from bandstand.store.store import Store

__all__ = ["Snapshots"]

_LIST_SECONDS = 1.0
_KEPT = 500


class Snapshots:
    """The latest lists, and how studies stand. Thread-safe."""

    def __init__(self, store: Store):
        self._store = store
        self._lists: OrderedDict[tuple[Any, ...], tuple[float, list[StudySummary]]] = OrderedDict()
        self._standings: OrderedDict[int, tuple[str, int, Progress, dict[str, Any]]] = OrderedDict()
        self._lists_lock = threading.Lock()  # held while a list is looked up
        self._standings_lock = threading.Lock()

    def studies(self, *, state: str | None, submitter: str | None, after: int | None, limit: int) -> list[StudySummary]:
        """As `Store.studies`, a second old at most; whoever asks while it is looked up waits for that."""
        key = (state, submitter, after, limit)
        with self._lists_lock:
            made_at, found = self._lists.get(key, (float("-inf"), []))
            if time.monotonic() - made_at > _LIST_SECONDS:
                found = self._store.studies(state=state, submitter=submitter, after=after, limit=limit)
                keep_latest(self._lists, key, (time.monotonic(), found), _KEPT)
            return found

    def standing(self, study: StudySummary) -> tuple[Progress, dict[str, Any]]:
        """A study's progress and spec, looked up when something has happened to it since.

        Raises:
            StudyNotFoundError: it is not there any more.
        """
        kept = self._standings.get(study.id)
        if kept is None or kept[:2] != (study.state, study.events):
            progress = self._store.progress(study.name)
            told = Progress.model_validate(progress)
            kept = (progress.state, progress.events, told, progress.spec.model_dump(mode="json"))
            with self._standings_lock:
                keep_latest(self._standings, study.id, kept, _KEPT)
        return kept[2], kept[3]

    def forget_lists(self) -> None:
        """Somebody has changed something by this server, and shall see it."""
        with self._lists_lock:
            self._lists.clear()
