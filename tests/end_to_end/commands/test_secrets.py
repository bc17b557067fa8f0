"""Secrets, planted and looked for wherever a run leaves something, whichever of its processes is killed."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.processes import epochs_of
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.secrets import command_lines_with, files_with, tables_with
from tests.end_to_end.harness.servers import PATIENCE_SECONDS, Server, User
from tests.waiting import wait_until

PLANTED = "pl4nted-s3cret"


def train(command: subprocess.Popen[str], store: Store, epochs: int) -> None:
    """Wait until so many more epochs are recorded."""
    goal = epochs_of(store, "secrets") + epochs
    wait_until(f"{goal} epochs", lambda: epochs_of(store, "secrets") >= goal, PATIENCE_SECONDS)
    assert command.poll() is None


def family(pid: int) -> dict[str, list[psutil.Process]]:
    """A command's processes, by what they are."""
    found: dict[str, list[psutil.Process]] = {"front": [psutil.Process(pid)]}
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            line = process.cmdline() or [""]
            kind = "workers" if line[-1] == "bandstand_workers" else line[0].removeprefix("ray::").partition(".")[0]
            found.setdefault(kind if kind in ("workers", "Coordinator", "Trainer") else process.name(), []).append(
                process
            )
    return found


@pytest.mark.slow
def test_the_password_is_in_no_command_line_file_or_table_before_and_after_a_process_is_killed(
    project: Project, store: Store, home: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database(store, "secrets").replace("postgres@", f"postgres:{PLANTED}@")
    assert PLANTED in url
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    opened = Store(url)
    file = project.write_study(
        name="secrets", budget={"epochs": 4000}, callbacks=["project:slow_journal"], checkpoint_every=1, max_attempts=9
    )
    folders = [home / "logs", home / "checkpoints", project.folder, temporary]

    def check(when: str, least: int = 20) -> None:
        assert command_lines_with([PLANTED]) == [], when
        files, read = files_with([PLANTED], folders)
        assert files == [], when
        assert read >= least, f"too few files were searched {when}"
        tables, read = tables_with([PLANTED], opened)
        assert tables == [], when
        assert read > 10, f"too few tables were searched {when}"

    for kind in ("Coordinator", "Trainer", "raylet", "workers", "front"):
        command = project.start("run", str(file), "--workers", "1")
        try:
            train(command, opened, 2)
            check(f"before {kind} was killed")
            processes = family(command.pid)
            everything = [one for some in processes.values() for one in some]
            processes[kind][0].kill()
            check(f"when {kind} had been killed")
            if kind in ("Coordinator", "Trainer"):
                train(command, opened, 1)
            if kind not in ("workers", "front"):
                command.terminate()
            output, _ = command.communicate(timeout=PATIENCE_SECONDS)
            _, left = psutil.wait_procs(everything, timeout=120)
            assert left == []
        finally:
            command.kill()
        assert PLANTED not in output, kind
        check(f"after the run whose {kind} was killed", least=4)  # Ray's files have gone with it
    assert epochs_of(opened, "secrets") > 0
    report = project.command("report", "secrets", "-o", "report.html")
    assert report.returncode == 0, report.stderr
    check("after the report", least=4)
    opened.close()


@pytest.mark.slow
def test_a_servers_password_tokens_and_signing_key_are_in_no_command_line_and_no_file_though_it_is_killed(
    store: Store, tmp_path: Path, temporary: Path
) -> None:
    home = tmp_path / "home"
    url = make_database(store, "secrets-of-a-server").replace("postgres@", f"postgres:{PLANTED}@")
    team = Store(url)
    server = Server(tmp_path / "server", {"BANDSTAND_DATABASE_URL": url, "BANDSTAND_HOME": str(home)})
    try:
        user = User(team, "ada")
        user.server = server.url
        key = team.accounts.signing_key()
        planted = [PLANTED, user.token.split("_", 2)[2], key if isinstance(key, str) else key.hex()]
        user.submit("watched", 4000)
        wait_until("epochs", lambda: team.studies() and team.progress("watched").epochs >= 2, PATIENCE_SECONDS)

        def check(when: str, least: int = 20) -> None:
            files, read = files_with(planted, [home, temporary, tmp_path])
            assert files == [], when
            assert read >= least, f"too few files were searched {when}"
            assert command_lines_with(planted) == [], when
            assert tables_with(planted[:2], team)[0] == [], when

        check("while a job runs")
        server.kill()
        check("when the server and its dispatcher had been killed")
        server = Server(tmp_path / "server", {"BANDSTAND_DATABASE_URL": url, "BANDSTAND_HOME": str(home)})
        user.server = server.url
        user.ask("POST", "/studies/watched/stop")
        wait_until("an end", lambda: user.ask("GET", "/studies/watched")["state"] != "running", PATIENCE_SECONDS)
        assert PLANTED not in user.log("watched", 1)
    finally:
        server.end()
    check("after the end", least=4)
    team.close()
