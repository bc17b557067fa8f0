"""Server-sent events, from a real server on loopback."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from bandstand.api import ServerSettings, make_app
from bandstand.search.search import Search
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from tests.service.api.event_stream import events_of
from tests.service.store.written_study import flush, make_spec


@pytest.fixture(scope="module")
def served(store: Store) -> Iterator[tuple[str, uvicorn.Server]]:
    """The address of a server, and the server."""
    app = make_app(store, ServerSettings(requests_per_second=10_000))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def client(served, store: Store) -> Iterator[httpx.Client]:
    token = store.accounts.create_token("vic", Role.VIEWER, days=1)
    with httpx.Client(base_url=served[0], headers={"Authorization": f"Bearer {token.text}"}, timeout=20) as client:
        yield client


def watchers(served) -> int:
    return served[1].config.app.state.feeds.watchers


def test_progress_comes_when_it_changes_and_the_stream_ends_with_the_study(client, store: Store):
    writer = store.claim(make_spec(), "a test")
    search = Search(writer.spec)
    writer.catch_up_mirror(search.history)
    with client.stream("GET", f"/studies/{writer.spec.name}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response)
        first = next(events)
        assert (first["event"], json.loads(first["data"])["state"]) == ("progress", "running")
        search.next()
        flush(search, writer)
        second = next(events)
        assert int(second["id"]) > int(first["id"])
        writer.set_study(state="stopped")
        last = list(events)
    assert [event["event"] for event in last] == ["progress", "ended"]
    assert json.loads(last[-1]["data"]) == {"state": "stopped"}
    writer.close()


def test_who_comes_back_is_told_only_what_has_changed(client, store: Store):
    writer = store.claim(make_spec(), "a test")
    path = f"/studies/{writer.spec.name}/events"
    with client.stream("GET", path) as response:
        seen = next(events_of(response))["id"]
    with client.stream("GET", path, headers={"Last-Event-ID": seen}) as response:
        begin = time.monotonic()
        threading.Timer(1.5, lambda: writer.set_study(state="stopped")).start()
        assert json.loads(next(events_of(response))["data"])["state"] == "stopped"
        assert time.monotonic() - begin > 1.4
    writer.close()


def test_a_study_that_is_not_there_is_a_problem_not_a_stream(client):
    answer = client.get("/studies/nothing/events")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_fifty_watchers_hold_no_thread_and_are_missed_when_they_go(client, served, store: Store):
    writer = store.claim(make_spec(), "a test")
    path = f"/studies/{writer.spec.name}/events"
    before = threading.active_count()
    streams = [client.stream("GET", path) for _ in range(50)]
    readers = [events_of(stream.__enter__()) for stream in streams]
    assert [next(reader)["event"] for reader in readers] == ["progress"] * 50
    assert watchers(served) == 50
    assert threading.active_count() - before <= 40  # what serves all other requests
    for stream in streams:
        stream.__exit__(None, None, None)
    deadline = time.monotonic() + 5
    while watchers(served) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert watchers(served) == 0
    writer.close()
