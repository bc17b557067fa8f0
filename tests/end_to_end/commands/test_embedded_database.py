"""The embedded PostgreSQL: it ends with its last user, comes back when it was killed, and is out of others' reach."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.servers import PATIENCE_SECONDS
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
HOLDER = "from bandstand.store.store import Store; Store.open(); print('open', flush=True); input()"


@pytest.fixture
def own_home(project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A BANDSTAND_HOME of which no other test has the database."""
    folder = temporary / "home"
    monkeypatch.setenv("BANDSTAND_HOME", str(folder))
    yield folder
    for process in postmasters(folder):
        process.send_signal(signal.SIGINT)
    psutil.wait_procs(postmasters(folder), timeout=60)


def postmasters(home: Path) -> list[psutil.Process]:
    return [
        one
        for one in psutil.process_iter(["name", "cmdline"])
        if one.info["name"] == "postgres" and str(home / "postgres") in (one.info["cmdline"] or [])
    ]


def test_a_run_that_is_told_to_end_pauses_and_leaves_no_database_server(project: Project, own_home: Path) -> None:
    file = project.write_study(name="ended", budget={"epochs": 4000})
    command = project.start("run", str(file), "--workers", "1")
    wait_until("a database server", lambda: postmasters(own_home), PATIENCE_SECONDS)
    wait_until("workers", lambda: list((own_home / "logs").glob("workers-*")), PATIENCE_SECONDS)
    command.terminate()
    output, _ = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 128 + signal.SIGTERM, output
    assert "Traceback" not in output
    assert postmasters(own_home) == []


def test_a_database_server_that_was_just_killed_is_started_again(project: Project, own_home: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        for _ in range(3):
            (postmaster,) = postmasters(own_home)
            postmaster.kill()
            done = project.command("list")
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        holder.communicate("\n", timeout=60)


def test_a_home_with_a_long_path_has_its_socket_in_a_private_folder_of_a_short_one(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = temporary / ("long" * 30)
    monkeypatch.setenv("BANDSTAND_HOME", str(home))
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        (socket,) = (path for path in temporary.rglob(".s.PGSQL.5432"))
        assert not socket.is_relative_to(home)
        assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(next(temporary.glob("bandstand-pg-*")).stat().st_mode) & 0o066 == 0
        assert project.command("list").returncode == 0
    finally:
        holder.communicate("\n", timeout=60)
    assert postmasters(home) == []


def test_the_homes_of_before_become_private(project: Project, own_home: Path) -> None:
    for name in ("logs", "functions", "server-reports", "runtime"):
        (own_home / name).mkdir(parents=True)
        (own_home / name).chmod(0o777)
    own_home.chmod(0o755)
    assert project.command("list").returncode == 0
    assert stat.S_IMODE((own_home / "runtime").stat().st_mode) == 0o700
    assert stat.S_IMODE(own_home.stat().st_mode) == 0o755, "a folder that was there keeps its mode"
    assert stat.S_IMODE((own_home / "postgres").stat().st_mode) == 0o700
    assert stat.S_IMODE((own_home / "postgres.users").stat().st_mode) & 0o077 == 0
