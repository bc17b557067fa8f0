"""Takes in what users ask of a running study: each request once, in the order in which they were made.

Knows the search, the journal and the store's writer. Must not know trainers.
"""

from __future__ import annotations

import asyncio

from bandstand.problem.budget import Budget
from bandstand.search.search import Search
from bandstand.store.records import StudyRequest
from bandstand.store.study_writer import StudyWriter
from bandstand_workers.coordinator.recording.journal import Journal

__all__ = ["UserRequests"]


class UserRequests:
    """The requests of one study.

    What is granted is an event that carries the request's number, and its row is marked in the event's transaction; so
    a coordinator killed in between finds both or neither.
    """

    def __init__(self, search: Search, writer: StudyWriter, journal: Journal):
        """For the study that these belong to."""
        self._search = search
        self._writer = writer
        self._journal = journal
        self._one_at_a_time = asyncio.Lock()

    async def take(self) -> None:
        """Take in all that wait; what they lead to is durable when this returns."""
        async with self._one_at_a_time:
            requests: list[StudyRequest] = await self._journal.call(self._writer.open_requests)
            for request in requests:
                refusal = self._answer(request)
                if refusal:
                    await self._journal.call(self._writer.refuse, request.id, refusal)
            if requests:
                await self._journal.durable()

    def _answer(self, request: StudyRequest) -> str | None:
        if request.kind == "extend":
            return self._search.requests.extend(request.id, Budget.model_validate(request.data), request.by)
        return self._search.requests.enqueue(request.id, request.data, request.by)
