"""What users' code prints cannot fill a disk, and a run leaves no folder of Ray behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.processes import actor_processes, ray_folder_of
from tests.end_to_end.harness.project import Project
from tests.waiting import wait_until

BOMB = """
import os
import sys

from project import *


def build_with_prints(params):
    line = "x" * 1023 + "\\n"
    for _ in range(30 * 1024):
        sys.stdout.write(line)
        os.write(2, line.encode())
    return build(params)
"""
LIMIT = 1_000_000


def sizes(folder: Path) -> dict[str, int]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found[path.name] = path.stat().st_size
    return found


@pytest.mark.slow
def test_a_builder_that_prints_without_end_does_not_fill_the_disk_and_the_folder_of_its_ray_goes(
    project: Project, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ROTATION_MAX_BYTES", str(LIMIT))
    (project.folder / "bomb.py").write_text(BOMB)
    file = project.write_study(name="bomb", model="bomb:build_with_prints", pruner="none", budget={"trials": 6})
    command = project.start("run", str(file), "--workers", "1")
    try:
        trains = lambda: actor_processes(command, "Trainer") or command.poll() is not None  # noqa: E731
        wait_until("a trainer", trains, seconds=400)
        assert command.poll() is None, command.communicate()[0]
        folder = ray_folder_of(command)
        most: dict[str, int] = {}
        while command.poll() is None:
            for name, size in sizes(folder).items():
                if name.startswith("worker-"):
                    most[name] = max(size, most.get(name, 0))
        output, _ = command.communicate()
    finally:
        command.kill()
    assert command.returncode == 0, output
    assert max(most.values()) > LIMIT / 2, "nothing was printed"
    assert max(most.values()) < 2 * LIMIT, most
    assert sum(most.values()) < 12 * LIMIT, most
    assert not folder.exists()
