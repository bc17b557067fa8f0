"""`bandstand clean` finds what nobody needs, tells it before it removes it, and touches nothing else."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandstand.locations import checkpoints_uri
from bandstand.running import cleaning, ray_folders
from bandstand.running.cleaning import Remains, find_remains
from bandstand.running.command_lines import command_lines
from bandstand.running.ray_folders import dead_folders, dead_sessions_of_before
from bandstand.store import tables
from bandstand.store.leftovers import remove_leftovers
from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from tests.service.store.written_study import make_spec
from tests.waiting import wait_until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where studies keep their files, apart from those of other tests; nothing of this machine's is looked at."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS", str(folder))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(ray_folders, "_temporary", lambda: tmp_path / "temporary")
    monkeypatch.setattr(cleaning, "dead_sessions_of_before", list)
    return folder


def write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * 1_000_000)
    return file


def in_place(remains: Remains, place: Path) -> dict[str, int]:
    return {finding.what: finding.count for finding in remains.findings if finding.place.startswith(str(place))}


def old_study(store: Store, place: Path) -> tuple[str, Path, Path]:
    """One that an old version has trained: its name, its model's file and a stray one."""
    spec = make_spec()
    writer = store.claim(spec, "test")
    folder = place / f"study-{writer.study_id}"
    model, stray = (
        write(folder / "trial-00001/model-attempt-1.keras"),
        write(folder / "trial-00002/epoch-0001-attempt-1.checkpoint"),
    )
    writer.set_study(model_uri=str(model), state="finished")
    writer.close()
    return spec.name, model, stray


def test_strays_of_a_study_go_and_its_model_stays(store: Store, place: Path) -> None:
    spec = make_spec()
    writer = store.claim(spec, "test")
    folder = Path(writer.take_folder(str(place)))
    model, stray = (
        write(folder / "trial-00001/model-attempt-1.keras"),
        write(folder / "trial-00002/model-attempt-1.keras"),
    )
    users = write(folder / "trial-00002/files/mine.keras")
    writer.set_study(model_uri=str(model))
    running = find_remains(store)
    assert in_place(running, place) == {}
    assert any(repr(spec.name) in kept and "runs" in kept for kept in running.kept)
    writer.close()

    (finding,) = (one for one in find_remains(store).findings if one.place == str(place))
    assert (finding.count, finding.bytes) == (1, 1_000_000)
    assert stray.exists(), "nothing goes before it is asked for"
    finding.remove()
    assert (model.exists(), stray.exists(), users.exists()) == (True, False, True)


def test_a_study_that_began_to_run_since_the_question_keeps_its_files(store: Store, place: Path) -> None:
    spec = make_spec()
    writer = store.claim(spec, "test")
    stray = write(Path(writer.take_folder(str(place))) / "trial-00002/model-attempt-1.keras")
    writer.close()
    (finding,) = (one for one in find_remains(store).findings if one.place == str(place))
    again = store.claim(spec, "test")
    finding.remove()
    assert stray.exists()
    again.close()
    finding.remove()
    assert not stray.exists()


def test_a_folder_of_an_old_version_in_a_place_that_others_may_use_is_cleaned_only_if_nobody_does(
    store: Store, place: Path
) -> None:
    name, model, stray = old_study(store, place)
    told = find_remains(store)
    assert in_place(told, place) == {}
    assert any(str(stray.parent.parent) in kept and "--sole-database" in kept for kept in told.kept), name
    for finding in find_remains(store, sole_database=True).findings:
        if finding.place.startswith(str(place)):
            finding.remove()
    assert (model.exists(), stray.exists()) == (True, False)


def test_folders_of_studies_that_the_database_does_not_know_stay_unless_there_is_no_other_database(
    store: Store, place: Path
) -> None:
    unknown = write(place / "study-987654-0a1b2c3d/trial-00001/model-attempt-1.keras")
    write(place / "mine/trial-00001/model-attempt-1.keras")
    told = find_remains(store)
    assert in_place(told, place) == {}
    assert any("study-987654-0a1b2c3d" in kept for kept in told.kept)
    assert in_place(find_remains(store, sole_database=True), place) == {"a study that is not in the database": 1}
    assert unknown.exists()


def test_what_a_deletion_left_because_its_process_was_killed_is_found(store: Store, place: Path) -> None:
    spec = make_spec()
    writer = store.claim(spec, "test")
    folder = Path(writer.take_folder(str(place)))
    files = [write(folder / f"trial-0000{number}/model-attempt-1.keras") for number in range(3)]
    writer.set_study(model_uri=str(files[0]), state="finished")
    writer.close()
    (note,) = SubmissionQueue(store).delete(spec.name)  # and nobody comes to remove the files
    assert in_place(find_remains(store), place) == {"files of a deleted study": 3}
    for finding in find_remains(store).findings:
        if finding.what == "files of a deleted study":
            finding.remove()
    assert not folder.exists()
    with store.database.reading() as connection:
        assert connection.execute(sa.select(tables.leftover).where(tables.leftover.c.id == note)).first() is None


def test_a_deletion_leaves_alone_what_is_not_called_as_a_file_of_the_study(store: Store, place: Path) -> None:
    spec = make_spec()
    writer = store.claim(spec, "a job, whose code may write anything here")
    folder = Path(writer.take_folder(str(place)))
    own = write(folder / "trial-00000/model-attempt-1.keras")
    foreign = [
        write(place / "secrets.json"),
        write(place / "study-999999-aaaaaaaa/trial-00000/model-attempt-1.keras"),
        write(folder / "trial-00000/notes.txt"),
    ]
    with store.database.connection() as connection, connection.begin():
        folders = [str(folder), str(place), str(place / "study-999999-aaaaaaaa")]
        connection.execute(sa.update(tables.study).where(tables.study.c.name == spec.name).values(folders=folders))
    for number, file in enumerate([*foreign, own], start=1):
        writer.set_study(model_uri=str(file), state="finished")
        with store.database.connection() as connection, connection.begin():
            row = {"study_id": writer.study_id, "trial": 0, "epoch": number, "attempt": 1, "uri": str(file)}
            connection.execute(sa.text("SET session_replication_role = replica"))  # there is no such trial
            connection.execute(sa.insert(tables.checkpoint).values(row))
            connection.execute(sa.text("SET session_replication_role = DEFAULT"))
    writer.close()
    remove_leftovers(store.database, SubmissionQueue(store).delete(spec.name))
    assert not own.exists()
    assert [file.exists() for file in foreign] == [True, True, True]


def test_one_place_under_two_names_loses_nothing(
    store: Store, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec()
    link = tmp_path / "by-a-link"
    link.symlink_to(place)
    writer = store.claim(spec, "test")
    folder = writer.take_folder(str(link))
    model = write(Path(folder) / "trial-00000/model-attempt-1.keras")
    writer.set_study(model_uri=str(model), state="finished")
    assert writer.take_folder(str(place)) == folder
    writer.close()
    for name in (str(place), str(link), f"{place}/../{place.name}", f"file://{link}"):
        monkeypatch.setenv("BANDSTAND_CHECKPOINTS", name)
        assert checkpoints_uri() == str(place.resolve())
        assert sum(in_place(find_remains(store, sole_database=True), place).values()) == 0
    assert model.exists()


# -- Ray ---------------------------------------------------------------------------------------------------------------


def test_folders_of_rays_are_dead_once_nobody_holds_or_names_them(place: Path) -> None:
    temporary = Path(tempfile.gettempdir())
    for name in ("bandstand-ray-held", "bandstand-ray-named", "bandstand-ray-dead", "bandstand-ray-new"):
        (temporary / name).mkdir()
    for name in ("held", "named", "dead"):
        (temporary / f"bandstand-ray-{name}" / "in-use").touch()
    part = subprocess.Popen([sys.executable, "-c", "input()", "--x=bandstand-ray-named/r"], stdin=subprocess.PIPE)
    try:
        wait_until("its own name", lambda: any("bandstand-ray-named" in line for line in command_lines()))
        with (temporary / "bandstand-ray-held" / "in-use").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert [folder.name for folder in dead_folders()] == ["bandstand-ray-dead"], (
                "new: a server's may be starting"
            )
        assert {folder.name for folder in dead_folders()} == {"bandstand-ray-dead", "bandstand-ray-held"}
    finally:
        part.communicate("")


def test_of_rays_own_folder_only_dead_sessions_of_studies_are_found(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def session(begin: str, process: int, words: str) -> str:
        folder = tmp_path / f"session_2026-01-0{begin}_00-00-00_1_{process}"
        (folder / "logs").mkdir(parents=True)
        (folder / "logs" / f"python-core-driver-01_{process}.log").write_text(words)
        return folder.name

    try:
        dead = session("1", ended.pid, "creating bandstand_workers.fleet.trainer")
        session("2", ended.pid, "creating somebody.elses.actor")
        session("3", living.pid, "creating bandstand_workers.fleet.trainer")
        (tmp_path / "session_latest").symlink_to(tmp_path / dead)
        assert [found.name for found in dead_sessions_of_before(tmp_path)] == [dead]
    finally:
        living.communicate(b"")
