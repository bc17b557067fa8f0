"""Another user of the machine finds no door: they cannot read, list, write or connect to anything of ours."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import psutil
import pytest

from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.outsider import answers, doors, family, opened_by, require_root, writable_by_all
from tests.end_to_end.harness.processes import epochs_of
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.servers import PATIENCE_SECONDS, Server, User
from tests.waiting import wait_until

PLANTED = "pl4nted-k3y"


def sockets_among(paths: set[str]) -> list[str]:
    return [path for path in paths if Path(path).exists() and stat.S_ISSOCK(Path(path).stat().st_mode)]


def shared_sessions() -> set[str]:
    return {path.name for path in Path("/tmp/ray").glob("session_*")}


def sessions_of(processes: list[psutil.Process]) -> list[str]:
    """Sessions of Ray that these processes have made where everybody may write."""
    ids = {str(one.pid) for one in processes}
    return [name for name in shared_sessions() if name.rpartition("_")[2] in ids]


def servers_of_database(home: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(home) in " ".join(one.info["cmdline"] or [])]


def test_nobody_finds_the_doors_that_are_open_so_that_the_tests_below_can_fail() -> None:
    require_root()
    with tempfile.TemporaryDirectory(prefix="bandstand-open-", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        (Path(folder) / "log").write_text("")
        assert doors([folder]) == [
            ["read", folder],
            ["list", folder],
            ["make a file in", folder],
            ["read", f"{folder}/log"],
        ]
        assert folder in writable_by_all(Path(folder))


@pytest.mark.slow
def test_nobody_gets_at_anything_of_a_local_run(project: Project, store: Store, home: Path, temporary: Path) -> None:
    require_root()
    changes = {"budget": {"epochs": 4000}, "callbacks": ["project:slow_journal"], "checkpoint_every": 1}
    file = project.write_study(name="private", **changes)
    earlier = shared_sessions()
    command = project.start("run", str(file), "--workers", "2")
    try:
        wait_until("epochs", lambda: epochs_of(store, "private") >= 4, PATIENCE_SECONDS)
        processes = family(command.pid)
        folder = next(temporary.glob("bandstand-ray-*"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        opened = opened_by([*processes, *servers_of_database(home)])
        opened = {path for path in opened if not path.startswith(str(project.folder))}
        sockets = [*sockets_among(opened), *map(str, (home / "postgres").glob(".s.PGSQL.*[0-9]"))]
        for name in ("raylet", "plasma_store", "PGSQL"):
            assert any(name in path and answers(path) for path in sockets), f"no {name} was tried: {sockets}"
        assert doors([*home.iterdir(), *temporary.iterdir(), *opened], processes) == []
        wait_until("Ray's folders to be closed", lambda: not writable_by_all(folder))
        assert not writable_by_all(home)
        assert not set(sessions_of(processes)) - earlier, "Ray has made a folder where everybody may write"
    finally:
        command.terminate()
        output, _ = command.communicate(timeout=120)
    print(output)
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_nobody_gets_at_anything_of_a_server_with_a_job_and_a_job_cannot_show_the_servers_files(
    store: Store, tmp_path: Path, temporary: Path
) -> None:
    require_root()
    home = tmp_path / "home"
    key = tmp_path / "key.pem"
    key.touch(mode=0o600)
    key.write_text(PLANTED)
    team = Store(make_database(store, "doors-of-a-server"))
    server = Server(tmp_path / "server", {"BANDSTAND_DATABASE_URL": team.database.url, "BANDSTAND_HOME": str(home)})
    earlier = shared_sessions()
    try:
        user = User(team, "ada")
        user.server = server.url
        user.submit("watched", 4000)
        wait_until("epochs", lambda: team.studies() and team.progress("watched").epochs >= 2, PATIENCE_SECONDS)
        folder = next(temporary.glob("bandstand-ray-*"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        processes = family(server.process.pid)
        opened = opened_by(processes) - {str(tmp_path / "server")}
        for name in ("raylet", "plasma_store"):
            assert any(name in path and answers(path) for path in sockets_among(opened)), f"no {name} was tried"
        assert any("job-driver-" in path for path in map(str, folder.rglob("*")))
        assert doors([*home.iterdir(), *temporary.iterdir(), *opened], processes) == []
        wait_until("Ray's folders to be closed", lambda: not writable_by_all(folder))
        assert not writable_by_all(home)
        assert not set(sessions_of(processes)) - earlier

        run = SubmissionQueue(team).runs("watched")[0].id
        log = next(folder.rglob(f"job-driver-{run}.log"))
        log.unlink()
        log.symlink_to(key)
        server.dispatcher().kill()  # another one begins to read the log again
        wait_until(
            "another dispatcher", lambda: "the log of job" in (tmp_path / "server").read_text(), PATIENCE_SECONDS
        )
        user.ask("POST", "/studies/watched/stop")
        wait_until("an end", lambda: SubmissionQueue(team).find("watched").state == "ended", PATIENCE_SECONDS)
        assert PLANTED not in user.log("watched", 1)
    finally:
        server.end()
        print((tmp_path / "server").read_text())
        team.close()
    assert [path for path in temporary.iterdir() if path.name.startswith("bandstand-")] == []
