"""`bandstand serve` and `bandstand token` as processes; whole studies are served in tests/end_to_end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.service.store.written_study import make_spec
from tests.waiting import wait_until

NOBODY_LISTENS = "http://127.0.0.1:9"


def bandstand(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bandstand", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


def refused(*arguments: str, **environment: str) -> str:
    done = bandstand(*arguments, **environment)
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


class Served:
    """A server in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, **environment: str):
        self.output = folder / "server"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bandstand", "serve", "--port", "0", *arguments],
                env=os.environ | environment, stdout=output, stderr=output,
            )  # fmt: skip
        self.url = self.wait_for(r"serves at (\S+)")[1]

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.output.read_text()):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} is not in {self.output.read_text()!r}")


@pytest.fixture
def serve(tmp_path: Path, store: Store) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def serve_one(*arguments: str, **environment: str) -> Served:
        started.append(Served(tmp_path, *arguments, **environment))
        return started[-1]

    yield serve_one
    for one in started:
        one.process.kill()
        one.process.wait()


def servers(store: Store) -> set[str]:
    with store.database.connection() as connection:
        return set(connection.execute(sa.select(tables.server.c.place)).scalars())


def test_a_server_is_up_soon_small_and_without_what_trains(serve) -> None:
    served = serve("--no-dispatch")
    process = psutil.Process(served.process.pid)
    times = process.cpu_times()
    assert times.user + times.system < 3, "seconds of CPU: the clock would tell of the machine's other work"
    assert process.memory_info().rss < 250e6
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert not [name for name in ("tensorflow", "/ray/", "jaxlib") if name in loaded]
    assert process.children() == []
    assert httpx.get(served.url + "/readyz").status_code == 200
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(20) == 0


def test_a_server_without_users_says_how_to_make_one(serve, store) -> None:
    for token in store.accounts.list_tokens():
        with store.database.connection() as connection, connection.begin():
            connection.execute(sa.delete(tables.token).where(tables.token.c.id == token.id))
    serve("--no-dispatch").wait_for("nobody has a token yet; `bandstand token create NAME --role admin`")


def test_tokens_are_made_listed_and_revoked(serve) -> None:
    served = serve("--no-dispatch")
    made = bandstand("token", "create", "grace", "--role", "viewer", "--days", "2")
    token = made.stdout.strip()
    assert re.fullmatch(r"bandstand_[0-9a-f]{12}_\S{40,}", token)
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(served.url + "/me", headers=headers).json()["user"] == "grace"
    listed = bandstand("token", "list").stdout
    assert "grace" in listed
    assert token.split("_", 2)[2] not in listed
    assert "is revoked" in bandstand("token", "revoke", "grace").stdout
    assert httpx.get(served.url + "/me", headers=headers).status_code == 401
    assert "no token with ID 'grace' and no user of this name" in refused("token", "revoke", "grace")
    assert "role must be one of viewer, submitter, admin" in refused("token", "create", "grace", "--role", "king")


def test_what_cannot_be_served_is_refused_in_a_line(home, tmp_path) -> None:
    assert "on any interface but loopback; got host '0.0.0.0'" in refused("serve", "--host", "0.0.0.0")
    assert "give --tls-certificate and --tls-key" in refused("serve", "--tls-key", "key.pem")
    (tmp_path / "key.pem").write_text("no key")
    key = str(tmp_path / "key.pem")
    assert "TLS needs a certificate" in refused("serve", "--tls-key", key, "--tls-certificate", key)
    assert "RAY_API_SERVER_ADDRESS is not set" in refused("serve", RAY_ADDRESS="head:6379")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "choose another --port" in refused("serve", "--port", str(taken.getsockname()[1]))


def test_a_dispatcher_that_dies_is_followed_by_another_and_the_last_one_signs_off(serve, store) -> None:
    served = serve(RAY_API_SERVER_ADDRESS=NOBODY_LISTENS, RAY_AUTH_MODE="disabled")
    wait_until("a server in the table", lambda: len(servers(store)) == 1)
    [first] = servers(store)
    [child] = psutil.Process(served.process.pid).children()
    child.kill()
    wait_until("another server in the table", lambda: servers(store) - {first})
    served.wait_for("the dispatcher was killed by SIGKILL; another one starts")
    [child] = psutil.Process(served.process.pid).children()
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(30) == 130
    assert not child.is_running()
    assert servers(store) == {first}, "the killed one could not"
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.delete(tables.server))


def test_while_the_cluster_is_away_submissions_wait_and_it_is_said_once(serve, store) -> None:
    served = serve(RAY_API_SERVER_ADDRESS=NOBODY_LISTENS, RAY_AUTH_MODE="disabled")
    spec = make_spec(name="waits for a cluster")
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    served.wait_for(f"job server must answer; {NOBODY_LISTENS} does not: ConnectionError; waiting")
    time.sleep(4)
    assert served.output.read_text().count("waiting") == 1
    assert SubmissionQueue(store).find(spec.name).state == "queued"
    [child] = psutil.Process(served.process.pid).children()
    served.process.kill()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running(), "a dispatcher ends with its server, however that ends"
    assert servers(store) == set(), "and signs off"
    SubmissionQueue(store).stop(spec.name)
