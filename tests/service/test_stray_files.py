"""Files that Bandstand wrote and the database does not name are found and removed, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from bandstand import stored_files, stray_files

OURS = [
    "trial-00003/epoch-0004-attempt-1.checkpoint",
    "trial-00003/epoch-0004-attempt-1.812.unfinished",
    "trial-00003/model-attempt-2.keras",
    "trial-00003/model-attempt-2.weights.h5",
    "trial-00003/model-attempt-2.77.unfinished.keras",
    "trial-00003/model-attempt-2.77.unfinished.weights.h5",
    "trial-123456/average.keras",
    "trial-123456/ensemble.keras",
    "trial-123456/epoch-12345-attempt-10.checkpoint",
]
USERS = [
    "trial-00003/files/epoch-0004-attempt-1.checkpoint",
    "trial-00003/notes.txt",
    "trial-00003/epoch-4.checkpoint",
    "trial-00003/my-model.keras",
    "trial-00003/model-attempt-2.keras.bak",
    "trial-3/model-attempt-1.keras",
    "data/epoch-0004-attempt-1.checkpoint",
    "epoch-0004-attempt-1.checkpoint",
    "thesis.tex",
]


def fill(folder: str, names: list[str]) -> None:
    fs, root = fsspec.core.url_to_fs(folder)
    for name in names:
        fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{root}/{name}", b"1234567")


def listed(folder: str) -> list[str]:
    fs, root = fsspec.core.url_to_fs(folder)
    return sorted(found.removeprefix(f"{root}/") for found in fs.find(root))


@pytest.fixture(params=["a path", "file://", "memory://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root = {"a path": str(tmp_path), "file://": f"file://{tmp_path}", "memory://": f"memory://{tmp_path.name}"}
    return f"{root[request.param]}/study-3-0a1b2c3d"


def test_all_of_ours_that_is_not_named_goes_and_all_of_the_users_stays(folder: str) -> None:
    fill(folder, OURS + USERS)
    named = [f"{folder}/{OURS[2]}", f"{folder}/{OURS[8]}", f"{folder}/trial-00009/model-attempt-1.keras"]
    assert {file.uri for file in stray_files.files_in(folder)} == {f"{folder}/{name}" for name in OURS}
    assert stray_files.remove_strays(folder, named) == 7 * 7, "bytes of seven files"
    assert listed(folder) == sorted([OURS[2], OURS[8], *USERS])


def test_a_checkpoint_of_an_attempt_that_still_trains_stays_for_its_row_may_be_on_its_way(folder: str) -> None:
    fill(folder, ["trial-00003/epoch-0004-attempt-1.checkpoint", "trial-00003/epoch-0005-attempt-2.checkpoint"])
    stray_files.remove_strays(folder, (), {(3, 2)})
    assert listed(folder) == ["trial-00003/epoch-0005-attempt-2.checkpoint"]


def test_a_folder_in_which_nothing_is_left_goes_and_one_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "study-3-0a1b2c3d"
    stray_files.remove_strays(str(folder), ())
    fill(str(folder), OURS)
    stray_files.remove_strays(str(folder), ())
    assert list(tmp_path.iterdir()) == []


def test_what_a_link_points_to_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious.keras"
    elsewhere.write_bytes(b"weights")
    place = tmp_path / "study-3-0a1b2c3d" / "trial-00003"
    place.mkdir(parents=True)
    (place / "model-attempt-1.keras").symlink_to(elsewhere)
    stray_files.remove_strays(str(place.parent), ())
    assert elsewhere.read_bytes() == b"weights"
    assert not place.exists()


def test_a_file_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "study-3-0a1b2c3d"
    fill(str(folder), OURS[:3])
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name.endswith(".checkpoint"):
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    stray_files.remove_strays(str(folder), ())
    assert listed(str(folder)) == OURS[:1]
    assert "cannot be removed" in caplog.text


def test_a_file_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        stored_files.write(b"x" * 1000, str(tmp_path / "trial-00001" / "epoch-0001-attempt-1.checkpoint"))
    assert list((tmp_path / "trial-00001").iterdir()) == []
