"""A study's progress as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bandstand.api.access.authentication import Viewer
from bandstand.api.feeds.study_feeds import Feeds, News
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name
from bandstand.study.states import StudyState

__all__ = ["router"]

router = APIRouter(tags=["studies"])
_HEARTBEAT_SECONDS = 15.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EXAMPLE = 'id: 42\nevent: progress\ndata: {"state": "running", …}\n\nevent: ended\ndata: {"state": "finished"}\n\n'
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["progress", "ended"]}, "id": {"type": "string"}, "data": {"type": "string"}
    },
}  # fmt: skip
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}}}
}


class _EventStream(StreamingResponse):
    """Ends as soon as its reader has gone, not when there is something to send next."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:

            async def wait_for_disconnect() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait_for_disconnect)
            try:
                await self.stream_response(send)
            except OSError:
                pass
            tasks.cancel_scope.cancel()


@router.get(
    "/studies/{name:path}/events",
    response_class=_EventStream,
    responses=answers(401, 404, 422, 429, 503) | _STREAM,
)
async def watch_study(
    request: Request,
    token: Viewer,
    name: Name,
    last_event_id: Annotated[str | None, Header(description="The `id` of the last event that you received.")] = None,
) -> _EventStream:
    """Watch a study: an event for each change of its progress, until it ends.

    A `progress` event has the study's `progress` as data, and a growing `id`. The last event is `ended` and has the
    study's state as data. A request with Last-Event-ID continues after that event. After 15 s without an event, the
    server sends a comment.
    """
    feeds: Feeds = request.app.state.feeds
    if feeds.watchers >= request.app.state.settings.event_streams:
        raise HTTPException(
            429, "this server has too many watchers: ask for the study every few seconds instead", {"Retry-After": "30"}
        )
    news = feeds.watch(name, _HEARTBEAT_SECONDS)
    first = await anext(news)  # refuses what is not there while there is still a status to say it by
    assert first is not None
    return _EventStream(_lines(first, news, last_event_id), headers=_HEADERS)


async def _lines(first: News, news: AsyncGenerator[News | None, None], seen: str | None) -> AsyncIterator[str]:
    try:
        if not (str(first.events) == seen and first.state is StudyState.RUNNING):
            for text in _texts(first):
                yield text
        async for each in news:
            if each is None:
                yield ": still here\n\n"
            else:
                for text in _texts(each):
                    yield text
    finally:
        await news.aclose()


def _texts(news: News) -> list[str]:
    texts = [f"id: {news.events}\nevent: progress\ndata: {news.progress}\n\n"] if news.progress is not None else []
    if news.state.has_ended:
        texts.append(f"event: ended\ndata: {json.dumps({'state': news.state})}\n\n")
    return texts
