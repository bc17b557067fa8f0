"""`bandstand dashboard` as a user starts it, until a signal ends it; and a server's dashboard, until it is idle."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from bandstand.store.store import Store

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """Starts the dashboard with these options."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bandstand", "dashboard", *options],
            env=os.environ | {"BANDSTAND_DATABASE_URL": store.database.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_dashboard_answers_on_the_loopback_interface_until_a_signal_ends_it(start: Start, number: int) -> None:
    server = start("--port", "0")
    assert server.stdout is not None
    told = re.fullmatch(
        r"Optuna Dashboard: (http://127\.0\.0\.1:\d+)/dashboard  \(Ctrl-C ends it\)\n", server.stdout.readline()
    )
    assert told is not None, server.communicate()
    connections = psutil.Process(server.pid).net_connections("inet")
    assert [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN] == ["127.0.0.1"]
    with ThreadPoolExecutor(12) as pool:  # more than it has threads
        answers = list(pool.map(httpx.get, [f"{told[1]}/dashboard", f"{told[1]}/api/studies"] * 6))
    assert {answer.status_code for answer in answers} == {200}
    server.send_signal(number)
    assert server.communicate(timeout=20) == ("", "")
    assert server.returncode == 0


def test_a_port_that_is_taken_is_refused_in_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start("--port", str(port))
        told = server.communicate(timeout=60)
    line = f"bandstand: the port must be free; {port} is not (Address already in use): choose another with --port\n"
    assert (server.returncode, told) == (2, ("", line))


IDLE_AFTER_A_SECOND = """
import sys
from bandstand.optuna_dashboard import dashboard_process
dashboard_process.IDLE_SECONDS, dashboard_process._WATCH_SECONDS = 1.0, 0.1
dashboard_process.main(sys.argv[1])
"""


def test_a_servers_dashboard_ends_when_it_is_idle_but_answers_whoever_is_asking(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "own" / "socket"
    path.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", IDLE_AFTER_A_SECOND, str(path)],
        env=os.environ | {"BANDSTAND_DATABASE_URL": store.database.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(path))
            asking.sendall(b"GET /api/meta HTTP/1.1\r\n")
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)
            asking.sendall(b"Host: dashboard\r\nConnection: close\r\n\r\n")
            assert asking.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
        assert process.wait(20) == 0
        assert not path.parent.exists()
    finally:
        process.kill()
