"""Processes die between a file and its row: in the end a study's folder holds exactly what the database names."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.interruption import interrupt_at
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.stored_files import check_folders_hold_what_is_named, folders_and_names
from tests.waiting import wait_until

OF_EPOCH_3 = "lambda arguments, more: 'epoch-0003' in arguments[1]"
FORGETS = "lambda arguments, more: True"
KEEPS_MODEL = "lambda arguments, more: 'model_uri' in more"
POINTS = {
    "a trainer dies while it writes": ("bandstand.stored_files:write", "dies in the middle", OF_EPOCH_3),
    "a trainer dies between file and row": ("bandstand.stored_files:write", "dies after", OF_EPOCH_3),
    "a coordinator dies between row and file": (
        "bandstand.store.study_writer:StudyWriter.forget_checkpoints", "dies after", FORGETS,
    ),
    "a coordinator dies after another model was named": (
        "bandstand.store.study_writer:StudyWriter.set_study", "dies after", KEEPS_MODEL,
    ),
    "a coordinator dies before a model is named": (
        "bandstand.store.study_writer:StudyWriter.set_study", "dies before", KEEPS_MODEL,
    ),
}  # fmt: skip
SETTINGS = {"checkpoint_every": 1, "max_epochs": 6, "budget": {"epochs": 36}, "max_attempts": 5}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_leaves_no_file_behind(
    point: str, project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, how, when = POINTS[point]
    hooks, mark = interrupt_at(project.folder, where, how, when)
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    name = f"files-{list(POINTS).index(point)}"
    file = project.write_study(name=name, callbacks=["project:journal"], **SETTINGS)
    done = project.command("run", str(file), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert mark.exists(), "nothing was interrupted"
    assert store.record(name).best is not None
    check_folders_hold_what_is_named(store, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "when"),
    [
        ("bandstand.stored_files:write", OF_EPOCH_3),
        ("bandstand.store.study_writer:StudyWriter.forget_checkpoints", FORGETS),
    ],
    ids=["between file and row", "between row and file"],
)
def test_a_study_all_of_whose_processes_are_killed_leaves_no_file_behind_when_it_has_gone_on(
    where: str, when: str, project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, mark = interrupt_at(project.folder, where, "stands still", when)
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    name = f"files-killed-{where[-5:]}"
    file = project.write_study(name=name, callbacks=["project:journal"], **SETTINGS)
    command = project.start("run", str(file), "--workers", "2")
    try:
        wait_until("a process at the point", mark.exists, seconds=300)
    finally:
        os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
    (folder,), _ = folders_and_names(store, name)
    users = folder / "trial-00000" / "keep.me"
    users.parent.mkdir(exist_ok=True)
    users.write_text("a user's own file")

    again = project.command("run", str(file), "--workers", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert users.read_text() == "a user's own file"
    users.unlink()
    if not any(users.parent.iterdir()):
        users.parent.rmdir()
    check_folders_hold_what_is_named(store, name)


@pytest.mark.slow
def test_a_study_that_is_stopped_keeps_what_it_goes_on_from_and_a_failed_one_too(
    project: Project, store: Store
) -> None:
    file = project.write_study(name="files-stopped", callbacks=["project:slow_journal"], **SETTINGS)
    command = project.start("run", str(file), "--workers", "2")
    wait_until("some epochs", lambda: _epochs(store, "files-stopped") > 4 or command.poll() is not None, seconds=300)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=200)
    assert command.returncode == 130, output
    assert store.record("files-stopped").state == "stopped"
    _, named = folders_and_names(store, "files-stopped")
    assert named
    assert all(Path(uri).is_file() for uri in named)
    check_folders_hold_what_is_named(store, "files-stopped")


def _epochs(store: Store, name: str) -> int:
    return next((study.epochs for study in store.studies() if study.name == name), 0)
