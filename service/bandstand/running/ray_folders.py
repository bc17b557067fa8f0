"""Where a local Ray keeps its files: a private folder for each, removed when that Ray is gone.

Knows names, locks and command lines. Must not know Ray. Left to itself, Ray makes a folder in `/tmp/ray` for each run
and removes none. A killed process leaves its folder; whoever starts a Ray later removes that one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from bandstand.locations import keeps_ray_files
from bandstand.running.command_lines import command_lines, is_alive

__all__ = ["RayFolder", "dead_folders", "dead_sessions_of_before", "new_folder", "remove_dead_folders"]

_PREFIX = "bandstand-ray-"
_LOCK = "in-use"
_KEPT = 3
"""Folders of Rays that died, the newest, that stay for whoever asks why."""
_STARTING_SECONDS = 120.0
"""A folder without a lock is that of a server's Ray, which takes so long at most to have a process that names it."""
_LONGEST = 32
"""Of the folder for temporary files: Ray's sockets lie below it, and paths of sockets have 107 characters at most."""


_RAYS_OWN = Path("/tmp/ray")  # Ray's choice
_TELLING = ("python-core-driver-*.log", "debug_state.txt", "gcs_server.out")
"""Logs of a session that name the modules of its actors."""


class RayFolder:
    """The folder of a Ray that this process starts. While the process lives it is in use."""

    def __init__(self) -> None:
        """Make one, and remove those of Rays that are gone."""
        remove_dead_folders()
        self._private = new_folder()
        self.path = self._private / "r"
        """For Ray, which lets everybody write into it. So it is in a folder that only this user can enter."""
        self.path.mkdir()
        self._lock: IO[str] = (self._private / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """The Ray has ended. Whoever wants to read its logs sets `BANDSTAND_KEEP_RAY_FILES`."""
        if not keeps_ray_files():
            shutil.rmtree(self._private, ignore_errors=True)
        self._lock.close()


def new_folder() -> Path:
    """A folder that is readable by this user alone."""
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_temporary()))


def remove_dead_folders(kept: int = _KEPT) -> None:
    """Remove the folders of Rays that are gone, but for the newest `kept`."""
    for folder in dead_folders()[kept:]:
        shutil.rmtree(folder, ignore_errors=True)


def dead_folders() -> list[Path]:
    """This user's folders that no process uses any more, the newest first."""
    found = []
    for folder in _temporary().glob(f"{_PREFIX}*"):
        with suppress(OSError):
            facts = folder.lstat()
            if folder.is_dir() and not folder.is_symlink() and facts.st_uid == os.getuid() and not _is_locked(folder):
                found.append((facts.st_mtime, folder))
    named = _named_in_command_lines(folder.name for _, folder in found)
    return [folder for _, folder in sorted(found, reverse=True) if folder.name not in named]


def _is_locked(folder: Path) -> bool:
    lock = folder / _LOCK
    if not lock.exists():
        return time.time() - folder.lstat().st_mtime < _STARTING_SECONDS
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _named_in_command_lines(names: Iterable[str]) -> set[str]:
    """Those of these folders that a process was started with: a part of a Ray that outlives its driver for a moment."""
    wanted = set(names)
    if not wanted:
        return set()
    lines = command_lines()
    return {name for name in wanted if any(name in line for line in lines)}


def dead_sessions_of_before(folder: Path = _RAYS_OWN) -> list[Path]:
    """What studies of old versions left in Ray's own folder: sessions of theirs that no process uses any more.

    Other programs' sessions are not among them. A session's name ends with the id of the process that began it.
    """
    found = []
    for session in folder.glob("session_2*"):
        process = session.name.rpartition("_")[2]
        with suppress(OSError):
            mine = session.lstat().st_uid == os.getuid() and session.is_dir() and not session.is_symlink()
            if mine and process.isdecimal() and not is_alive(int(process)) and _was_bandstands(session):
                found.append(session)
    named = _named_in_command_lines(session.name for session in found)
    return [session for session in found if session.name not in named]


def _was_bandstands(session: Path) -> bool:
    for pattern in _TELLING:
        for log in (session / "logs").glob(pattern):
            with suppress(OSError):
                if b"bandstand_workers" in log.read_bytes():
                    return True
    return False


def _temporary() -> Path:
    folder = Path(tempfile.gettempdir())
    return folder if len(str(folder)) <= _LONGEST else Path("/tmp")  # the new folder is private
