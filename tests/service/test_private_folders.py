"""Folders of Bandstand's own have mode 0700, whatever they had before and whatever the umask says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandstand.errors import InputError
from bandstand.private_folders import checkpoints_place, home_folder, make_home


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path / "a" / "home"))
    before = os.umask(0)
    yield tmp_path / "a" / "home"
    os.umask(before)


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_new_home_and_its_folders_are_private_whatever_the_umask(own_home: Path) -> None:
    assert home_folder("logs") == own_home / "logs"
    assert mode(own_home) == mode(own_home / "logs") == 0o700


def test_a_home_that_was_there_keeps_its_mode_and_its_folders_do_not(own_home: Path) -> None:
    (own_home / "logs").mkdir(parents=True)
    own_home.chmod(0o755)
    (own_home / "logs").chmod(0o777)
    assert make_home() == own_home
    home_folder("logs")
    assert (mode(own_home), mode(own_home / "logs")) == (0o755, 0o700)


def test_a_link_that_the_user_made_stays_with_the_mode_of_what_it_names(own_home: Path, tmp_path: Path) -> None:
    own_home.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (own_home / "checkpoints").symlink_to(tmp_path / "elsewhere")
    assert checkpoints_place() == str(tmp_path / "elsewhere")
    assert mode(tmp_path / "elsewhere") == 0o755


def test_a_place_for_checkpoints_that_the_user_names_is_left_alone(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir(mode=0o777)
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS", str(tmp_path / "shared"))
    assert checkpoints_place() == str(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o777
    assert not own_home.exists()


def test_a_folder_of_another_user_is_refused(own_home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away; run this test as root, say in a container")
    (own_home / "logs").mkdir(parents=True)
    os.chown(own_home / "logs", 65534, 65534)
    with pytest.raises(InputError, match="must belong to the user who runs Bandstand; it belongs to user 65534"):
        home_folder("logs")


@pytest.mark.parametrize("obstacle", ["a file", "a file above"])
def test_a_folder_that_cannot_be_made_is_the_users_to_mend(own_home: Path, obstacle: str) -> None:
    own_home.parent.mkdir()
    if obstacle == "a file above":
        own_home.write_text("")
    else:
        own_home.mkdir()
        (own_home / "logs").write_text("")
    with pytest.raises(InputError, match="set BANDSTAND_HOME to a folder that you may write"):
        home_folder("logs")
