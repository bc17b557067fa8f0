"""What many ask for again and again, kept for as long as it holds, so that it is not looked up for each of them.

Knows how long an answer holds. Must not know who asks.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from pydantic import JsonValue

from bandstand.api.bounded_mapping import keep_latest
from bandstand.api.schemas.answers import Progress
from bandstand.store.reading.study_list import State, StudySummary
from bandstand.store.store import Store

__all__ = ["Snapshots", "StudyQuery", "StudySnapshot"]

_LIST_SECONDS = 1.0
_KEPT = 500


@dataclass(frozen=True, kw_only=True)
class StudyQuery:
    """Which studies a list has; as of `Store.studies`."""

    state: State | None = None
    submitter: str | None = None
    after: int | None = None
    limit: int


@dataclass(frozen=True, kw_only=True)
class _KeptList:
    made_at: float
    studies: list[StudySummary]


@dataclass(frozen=True, kw_only=True)
class StudySnapshot:
    """How a study stands."""

    progress: Progress
    spec: dict[str, JsonValue]
    """As JSON."""


class Snapshots:
    """The latest lists, and how studies stand. Thread-safe."""

    def __init__(self, store: Store):
        self._store = store
        self._lists: OrderedDict[StudyQuery, _KeptList] = OrderedDict()
        self._standings: OrderedDict[int, StudySnapshot] = OrderedDict()
        self._lists_lock = threading.Lock()  # held while a list is looked up
        self._standings_lock = threading.Lock()

    def studies(self, query: StudyQuery) -> list[StudySummary]:
        """As `Store.studies`, a second old at most; whoever asks while it is looked up waits for that."""
        with self._lists_lock:
            kept = self._lists.get(query)
            if kept is None or time.monotonic() - kept.made_at > _LIST_SECONDS:
                found = self._store.studies(
                    state=query.state, submitter=query.submitter, after=query.after, limit=query.limit
                )
                kept = _KeptList(made_at=time.monotonic(), studies=found)
                keep_latest(self._lists, query, kept, _KEPT)
            return kept.studies

    def standing(self, study: StudySummary) -> StudySnapshot:
        """How a study stands, looked up when something has happened to it since.

        Raises:
            StudyNotFoundError: it is not there any more.
        """
        kept = self._standings.get(study.id)
        if kept is None or (kept.progress.state, kept.progress.events) != (study.state, study.events):
            progress = self._store.progress(study.name)
            kept = StudySnapshot(progress=Progress.model_validate(progress), spec=progress.spec.model_dump(mode="json"))
            with self._standings_lock:
                keep_latest(self._standings, study.id, kept, _KEPT)
        return kept

    def forget_lists(self) -> None:
        """Somebody has changed something by this server, and shall see it."""
        with self._lists_lock:
            self._lists.clear()
