"""Folders of ours, which no other user of the machine can look into.

Knows modes and owners. Must not know what is kept in them. A folder that others may write lets them put a link where we
write a file; one that they may read shows them logs, models and sockets.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bandstand.errors import InputError
from bandstand.locations import bandstand_home, checkpoints_uri

__all__ = ["checkpoints_place", "home_folder", "make_home", "make_private"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_home() -> Path:
    """BANDSTAND_HOME, made with mode 0700 if it is not there; a folder that is there keeps its mode.

    Raises:
        InputError: it cannot be made.
    """
    home = bandstand_home()
    if not home.is_dir():
        _make(home)
    return home


def home_folder(name: str) -> Path:
    """A folder of BANDSTAND_HOME, which has mode 0700 when this returns.

    Raises:
        InputError: it cannot be made, or belongs to another user.
    """
    return make_private(make_home() / name)


def checkpoints_place() -> str:
    """As `checkpoints_uri`; the folder is private where it is one of BANDSTAND_HOME, and made so if it must be.

    A place that BANDSTAND_CHECKPOINTS names is its user's, who may share it with others.
    """
    uri = checkpoints_uri()
    if uri == str(bandstand_home() / "checkpoints"):
        home_folder("checkpoints")
    return uri


def make_private(folder: Path) -> Path:
    """A folder, which has mode 0700 when this returns, whatever it had before; a volume and a link stay as they are.

    Raises:
        InputError: it cannot be made, or belongs to another user.
    """
    _make(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) and folder.is_dir():
        return folder  # a link that its user made: the folder behind it is theirs to protect
    if found.st_uid == 0 != os.geteuid():
        return folder  # a volume that is mounted there: whoever mounted it has chosen who may enter
    if found.st_uid != os.geteuid():
        raise InputError(
            f"{folder} must belong to the user who runs Bandstand; it belongs to user {found.st_uid}: remove it, or "
            "set BANDSTAND_HOME to another folder"
        )
    if found.st_mode & _OTHERS:
        folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    return folder


def _make(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {folder} must be there or be made; it cannot be ({error.strerror}): set BANDSTAND_HOME to a "
            "folder that you may write"
        ) from None
