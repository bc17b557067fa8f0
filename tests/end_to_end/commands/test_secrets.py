"""The database's password, planted and looked for wherever a run leaves something."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.processes import actor_processes, ray_folder_of
from tests.end_to_end.harness.project import Project
from tests.waiting import wait_until

PLANTED = "pl4nted-s3cret"


@pytest.mark.slow
def test_the_password_is_in_no_command_line_log_checkpoint_report_or_ray_file(
    project: Project, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database(store, "secrets").replace("postgres@", f"postgres:{PLANTED}@")
    assert PLANTED in url
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    monkeypatch.setenv("BANDSTAND_KEEP_RAY_FILES", "1")
    file = project.write_study(name="secrets", budget={"epochs": 12}, checkpoint_every=1)
    command = project.start("run", str(file), "--workers", "2")
    wait_until("trainers", lambda: actor_processes(command, "Trainer.train"))
    session = ray_folder_of(command)
    for process in psutil.process_iter(["cmdline"]):
        assert PLANTED not in " ".join(process.info["cmdline"] or [])
    output, _ = command.communicate(timeout=120)
    assert command.returncode == 0, output
    assert PLANTED not in output
    report = project.command("report", "secrets", "-o", "report.html")
    assert report.returncode == 0, report.stderr
    for folder in (home / "logs", home / "checkpoints", project.folder, session):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert files, f"nothing was searched in {folder}"
        for path in files:
            assert PLANTED.encode() not in path.read_bytes(), path
    left = [path for path in Path("/tmp").glob("bandstand-*") if path.is_file()]
    assert left == [], "a file with the URL was left"
