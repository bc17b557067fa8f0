"""The database of a server is restarted: server, dispatcher, job and watcher go on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandstand.store.store import Store
from tests.end_to_end.clusters.test_service import User, epochs, outcome
from tests.end_to_end.harness.own_postgres import OwnPostgres
from tests.end_to_end.harness.servers import PATIENCE_SECONDS, Server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def postgres(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    server = OwnPostgres(tmp_path_factory.mktemp("pg"))
    try:
        yield server
    finally:
        server.stop()


def test_a_server_its_job_and_a_watcher_go_on_after_the_database_was_away(
    postgres: OwnPostgres, home: Path, tmp_path: Path
) -> None:
    store = Store(postgres.url)
    user = User(store, "ada")
    server = Server(tmp_path / "server", {"BANDSTAND_DATABASE_URL": postgres.url})
    watcher = None
    try:
        user.server = server.url
        user.submit("restarted", 60)
        wait_until("it trains", lambda: epochs(store, "restarted") >= 4, PATIENCE_SECONDS)
        watcher = subprocess.Popen(
            [sys.executable, "-P", "-m", "bandstand", "watch", "restarted", "--url", server.url],
            env=os.environ | {"BANDSTAND_TOKEN": user.token}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        postgres.restart(20)
        wait_until("its end", lambda: outcome(store, "restarted"), PATIENCE_SECONDS)
        assert outcome(store, "restarted") == "finished", user.log("restarted", 1)
        assert epochs(store, "restarted") == 60
        told, _ = watcher.communicate(timeout=120)
        assert watcher.returncode == 0, told
        assert "Traceback" not in told
        assert server.process.poll() is None
        assert "Traceback" not in (tmp_path / "server").read_text()
    finally:
        print((tmp_path / "server").read_text())
        if watcher is not None:
            watcher.kill()
        server.end()
        store.close()
