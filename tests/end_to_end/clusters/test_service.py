"""A server as a team uses it: several users, a real Ray cluster with a token, and processes that are killed."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.ray_cluster import RayCluster
from tests.end_to_end.harness.servers import PATIENCE_SECONDS, Server, User
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
PASSWORD = "pl4nted-passw0rd"
RAY_TOKEN = "pl4nted-ray-t0ken-" + "0" * 46


@pytest.fixture
def team(store: Store, request: pytest.FixtureRequest) -> Iterator[Store]:
    """The store of a server, in a database of its own with a planted password."""
    url = make_database(store, request.node.name[:40]).replace("postgres@", f"postgres:{PASSWORD}@")
    assert PASSWORD in url
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def start(team: Store, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start_one(**environment: str) -> Server:
        started.append(Server(tmp_path / "server", {"BANDSTAND_DATABASE_URL": team.database.url} | environment))
        return started[-1]

    yield start_one
    for one in started:
        if one.process.poll() is None:
            one.end()
    print((tmp_path / "server").read_text())


def epochs(team: Store, name: str) -> int:
    return team.progress(name).epochs


def outcome(team: Store, name: str) -> str:
    found = SubmissionQueue(team).find(name)
    return found.outcome if found is not None and found.state == "ended" else ""


def run_states(team: Store, name: str) -> list[str]:
    return [str(run.state) for run in SubmissionQueue(team).runs(name)]


def test_studies_of_two_users_end_as_they_should_though_a_job_and_a_server_are_killed(
    team: Store, home: Path, tmp_path: Path, start: Callable[..., Server]
) -> None:
    with contextlib.closing(RayClosing(RayCluster(team.database.url, RAY_TOKEN))) as closing:
        cluster = closing.cluster
        users = [User(team, "ada"), User(team, "grace")]
        secrets = [PASSWORD, RAY_TOKEN, *(user.token.split("_", 2)[2] for user in users)]
        ada, grace = users
        first = start(**cluster.environment)
        ada.server = grace.server = first.url
        ada.submit("killed", 24)
        grace.submit("stopped", 5000)
        grace.submit("whole", 40)
        names = ["killed", "stopped", "whole"]
        wait_until("all train", lambda: all(epochs(team, name) >= 2 for name in names), PATIENCE_SECONDS)
        assert first.process.poll() is None
        check_command_lines(secrets)

        driver = cluster.driver(SubmissionQueue(team).runs("killed")[0].id)
        assert driver is not None
        driver.kill()
        wait_until("another run", lambda: len(SubmissionQueue(team).runs("killed")) == 2, PATIENCE_SECONDS)
        first.kill()

        second = start(**cluster.environment)
        ada.server = grace.server = second.url
        grace.ask("POST", "/studies/stopped/stop")
        wait_until("all have ended", lambda: all(outcome(team, name) for name in names), PATIENCE_SECONDS)
        assert [outcome(team, name) for name in names] == ["finished", "stopped", "finished"]
        assert run_states(team, "killed") == ["failed", "succeeded"]
        assert run_states(team, "stopped") == ["succeeded"]
        assert run_states(team, "whole") == ["succeeded"], "a killed server costs a job nothing"
        assert len(team.record("killed").measurements) == 24
        assert len(team.record("whole").measurements) == 40

        log = grace.log("whole", 1)
        assert log.count("whole: running on 1 worker\n") == 1
        assert log.count("whole: finished: the budget is used up") == 1
        assert "killed: continuing after" in ada.log("killed", 2) or "trial 0" in ada.log("killed", 2)
        assert "stopped: stopped:" in grace.log("stopped", 1)
        check_jobs(cluster, secrets)
        assert second.end() == 0
        check_files(secrets, [home, cluster.folder, tmp_path])


class RayClosing:
    """A cluster that ends with a `with`."""

    def __init__(self, cluster: RayCluster):
        self.cluster = cluster

    def close(self) -> None:
        self.cluster.end()


def check_command_lines(secrets: list[str]) -> None:
    for process in psutil.process_iter(["cmdline"]):
        shown = " ".join(process.info["cmdline"] or [])
        assert not [secret for secret in secrets if secret in shown], shown.split()[0]


def check_jobs(cluster: RayCluster, secrets: list[str]) -> None:
    shown = json.dumps([cluster.jobs(), *(cluster.get(f"/api/jobs/{job['submission_id']}") for job in cluster.jobs())])
    assert "bandstand-" in shown
    assert not [secret for secret in secrets if secret in shown]


def check_files(secrets: list[str], folders: list[Path], *, meant: tuple[str, ...] = ()) -> None:
    wanted = [secret.encode() for secret in secrets]
    number = 0
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in meant:
                number += 1
                content = path.read_bytes()
                assert not [secret for secret in wanted if secret in content], path
    assert number > 20


def test_without_a_cluster_a_local_ray_is_found_again_and_ends_with_the_server(
    team: Store, home: Path, tmp_path: Path, start: Callable[..., Server]
) -> None:
    user = User(team, "ada")
    first = start()
    user.server = first.url
    user.submit("local", 60)
    wait_until("it trains", lambda: epochs(team, "local") >= 2, PATIENCE_SECONDS)
    file = home / "ray.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    left = json.loads(file.read_text())
    secrets = [PASSWORD, left["token"], user.token.split("_", 2)[2]]
    check_command_lines(secrets)
    check_files(secrets, [home, Path(left["folder"]), tmp_path], meant=("ray.json",))
    first.kill()
    processes = [psutil.Process(int(pid)) for pid in left["processes"]]
    assert len(processes) == 3

    second = start()
    user.server = second.url
    before = epochs(team, "local")
    wait_until("it trains on", lambda: epochs(team, "local") > before + 2, PATIENCE_SECONDS)
    wait_until("it is used again", lambda: "it is used again" in (tmp_path / "server").read_text())
    assert json.loads(file.read_text()) == left
    wait_until(
        "it is taken over", lambda: "local: its server has gone; taken over" in (tmp_path / "server").read_text()
    )
    assert run_states(team, "local") == ["running"]

    assert second.end() == 0
    assert not any(process.is_running() for process in processes)
    assert not file.exists()
    assert not Path(left["folder"]).exists()
    # It was paused, not killed: every epoch that was trained is there, and the next server goes on with it.
    assert run_states(team, "local") == ["failed"]
    assert SubmissionQueue(team).find("local").state == "queued"
    assert "local: stopped: it can be continued" in SubmissionQueue(team).log(
        SubmissionQueue(team).runs("local")[0].id, limit=10**6
    )
