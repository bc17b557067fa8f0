"""Where the files are that a trial's own code writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandstand import stored_files


@pytest.mark.parametrize(
    ("root", "folder"),
    [
        ("/data/checkpoints", "/data/checkpoints/study-3-0a1b2c3d/trial-00007/files"),
        ("file:///data/checkpoints", "/data/checkpoints/study-3-0a1b2c3d/trial-00007/files"),
        ("s3://bucket/deep/down", "/of/bandstand/files/study-3-0a1b2c3d/trial-00007"),
        ("memory://x", "/of/bandstand/files/study-3-0a1b2c3d/trial-00007"),
    ],
)
def test_the_folder_is_beside_the_checkpoints_where_these_are_local(
    root: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_HOME", "/of/bandstand")
    place = stored_files.trial_place(stored_files.study_folder(root, 3, "0a1b2c3d"), 7)
    assert stored_files.users_folder(place) == Path(folder)


def test_a_place_says_whose_it_is() -> None:
    assert stored_files.trial_of(stored_files.trial_place("/data/study-3", 7)) == 7
    assert stored_files.trial_of(stored_files.trial_place("/data/study-3", 123456)) == 123456
    assert stored_files.trial_of("/somewhere/else") == 0


def test_a_trials_last_checkpoint_leaves_its_code_s_files_where_they_are(tmp_path: Path) -> None:
    place = stored_files.trial_place(str(tmp_path / "study-1"), 0)
    stored_files.write(b"x", f"{place}/epoch-0001.checkpoint")
    kept = stored_files.users_folder(place) / "log.csv"
    kept.parent.mkdir()
    kept.write_text("epoch\n")
    stored_files.delete(f"{place}/epoch-0001.checkpoint")
    assert kept.read_text() == "epoch\n"
