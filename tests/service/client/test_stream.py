"""Events over any number of connections."""

from __future__ import annotations

import pytest

from bandstand.client.connection import Connection
from bandstand.client.stream import Event, follow_events, read_events
from bandstand.errors import ServerUnreachableError, StudyNotFoundError
from tests.service.client.servers import ScriptedServer, free_port, hang_up, problem


def stream(*texts: str) -> tuple:
    return 200, {"Content-Type": "text/event-stream"}, "".join(texts).encode()


def event(number: int, kind: str = "progress") -> str:
    return f'id: {number}\nevent: {kind}\ndata: {{"n": {number}}}\n\n'


def follow(url: str, patience: float = 20.0) -> tuple[list[Event], list[str]]:
    lost: list[str] = []
    found = follow_events(
        Connection(url, None, 1.0), "/e", ended="ended", patience_seconds=patience,
        lost=lambda error: lost.append(str(error)),
    )  # fmt: skip
    return list(found), lost


def test_events_are_read_as_the_standard_has_them():
    lines = [": a comment", "", "event: progress", "id: 7", "data: one", "data:two", "", "data: bare", "", "data: cut"]
    assert list(read_events(lines)) == [
        Event(kind="progress", data="one\ntwo", id="7"),
        Event(kind="message", data="bare", id="7"),
    ]


def test_a_lost_connection_goes_on_after_the_last_event():
    answers = [stream(event(1), event(2), "data: cut off"), hang_up, problem(503), stream(event(3)),
               stream(event(4), event(4, "ended"))]  # fmt: skip
    with ScriptedServer(answers) as server:
        events, lost = follow(server.url)
    assert [(each.kind, each.content["n"]) for each in events] == [
        ("progress", 1), ("progress", 2), ("progress", 3), ("progress", 4), ("ended", 4),
    ]  # fmt: skip
    assert [headers.get("Last-Event-ID") for _, _, headers, _ in server.requests] == [None, "2", "2", "2", "3"]
    assert len(lost) == 4


def test_a_server_that_stays_away_is_given_up():
    with pytest.raises(ServerUnreachableError):
        follow(f"http://127.0.0.1:{free_port()}", patience=1.0)


def test_a_study_that_is_not_there_is_not_waited_for():
    with ScriptedServer([problem(404)]) as server, pytest.raises(StudyNotFoundError):
        follow(server.url)
    assert len(server.requests) == 1
