"""A Ray of ours has a folder that is private, short enough for its sockets, and removed when its process is gone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bandstand.errors import InputError
from bandstand.running import ray_folders
from bandstand.running.ray_folders import RayFolder, take_from_others

PREFIX = "bandstand-ray-"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    return folder


def modes_of(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.lstat().st_mode) & 0o077 for path in folder.rglob("*") if not path.is_symlink()}


def test_what_ray_opens_to_everybody_is_closed_again(place: Path) -> None:
    folder = RayFolder()
    session = folder.path / "session_1"
    for name in ("sockets", "logs/old", "runtime_resources/pip"):
        (session / name).mkdir(parents=True)
    for path in [*session.rglob("*"), session, folder.path]:
        path.chmod(0o777)
    (session / "logs" / "raylet.out").touch(mode=0o666)
    (folder.path / "session_latest").symlink_to("/tmp")
    before = Path("/tmp").stat().st_mode
    take_from_others(folder.private)
    assert modes_of(folder.path) == {0}
    assert stat.S_IMODE(folder.private.stat().st_mode) == 0o700
    assert Path("/tmp").stat().st_mode == before, "a link is not followed"
    folder.remove()
    assert list(place.iterdir()) == []


def test_a_folder_goes_when_its_process_is_gone_and_stays_while_it_lives(place: Path) -> None:
    script = (
        "from bandstand.running.ray_folders import RayFolder\n"
        "folder = RayFolder(); print(folder.private, flush=True); input()"
    )
    living, killed = (
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    assert living.stdout is not None and killed.stdout is not None
    kept, left = (Path(one.stdout.readline().strip()) for one in (living, killed))
    killed.kill()
    killed.wait()
    (place / f"{PREFIX}strange").mkdir()  # without a lock: not one of ours
    new = RayFolder()
    assert left.exists(), "the newest of the dead stay for whoever asks why"
    ray_folders.remove_dead_folders(0)
    assert {path.name for path in place.iterdir()} == {kept.name, new.private.name, f"{PREFIX}strange"}
    assert not left.exists()
    living.communicate("\n", timeout=30)
    new.remove()


def test_a_path_that_is_too_long_for_sockets_is_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = place / ("x" * 40)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    folder = RayFolder()
    assert folder.private.parent == place
    assert len(os.fsencode(f"{folder.path}{ray_folders._LONGEST_SOCKET}")) <= ray_folders._MOST_BYTES
    folder.remove()


def test_where_no_place_is_short_enough_the_user_is_told_what_to_set(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_folders, "_MOST_BYTES", 80)
    with pytest.raises(InputError, match=r"has a path of at most -?\d+ bytes; .*: set RAY_TMPDIR to one"):
        RayFolder()
