"""A study's events over any number of connections: each goes on after the last event that the one before brought.

Knows server-sent events (HTML standard, 9.2) and when to give up. Must not know what the events say.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import httpx

from bandstand.client.connection import Connection, backoff_seconds
from bandstand.errors import BandstandError, ServerAnswerError, ServerUnreachableError, TooManyRequestsError

__all__ = ["Event", "follow_events", "read_events"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event."""

    kind: str
    data: str
    id: str | None
    """To go on after it; None if the server gave none yet."""

    @property
    def content(self) -> dict[str, object]:
        """The data, from JSON.

        Raises:
            ServerAnswerError: they are no JSON object.
        """
        try:
            return dict(json.loads(self.data))
        except (TypeError, ValueError):
            raise ServerAnswerError(f"an event's data must be JSON; got {self.data[:100]!r}") from None


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream; one that is cut off in the middle is none."""
    kind, last = None, None
    data: list[str] = []
    for line in lines:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                kind = value
            elif field == "data":
                data.append(value)
            elif field == "id" and "\0" not in value:
                last = value
        else:
            if data:
                yield Event(kind=kind or "message", data="\n".join(data), id=last)
            kind, data = None, []


def follow_events(
    connection: Connection, path: str, *, ended: str, patience_seconds: float, lost: Callable[[BandstandError], None]
) -> Iterator[Event]:
    """The events at a path, up to and with the one of the kind `ended`.

    Args:
        connection: to the server, which may be away for a while and may be another one when it is back.
        path: of the stream.
        ended: the kind of the last event.
        patience_seconds: how long the server may be away.
        lost: is told why, each time that a connection is lost or not to be had.

    Raises:
        ServerUnreachableError: the server was away for longer.
        BandstandError: as any request; the study may have been deleted meanwhile.
    """
    last: str | None = None
    attempt, heard_at = 0, time.monotonic()
    while True:
        try:
            with connection.stream(path, {} if last is None else {"Last-Event-ID": last}) as lines:
                heard_at = time.monotonic()
                for event in read_events(lines):
                    attempt, last = 0, event.id or last
                    yield event
                    if event.kind == ended:
                        return
            error: BandstandError = ServerUnreachableError(f"{connection.url} has ended the connection")
        except httpx.TransportError as broken:
            error = connection.unreachable(broken)
        except (ServerUnreachableError, TooManyRequestsError) as refused:
            error = refused
        if attempt == 0:  # until now it was there
            heard_at = time.monotonic()
        attempt += 1
        pause = backoff_seconds(attempt)
        if time.monotonic() + pause - heard_at > patience_seconds:
            raise error
        lost(error)
        time.sleep(pause)
