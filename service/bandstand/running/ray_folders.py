"""Where a local Ray keeps its files: a private folder for each, removed when that Ray is gone.

Knows names, modes, lengths of paths, locks and command lines. Must not know Ray. Left to itself, Ray makes a folder in
`/tmp/ray` for each run and removes none. A killed process leaves its folder; whoever starts a Ray later removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from bandstand.errors import InputError
from bandstand.locations import keeps_ray_files
from bandstand.running.command_lines import command_lines, is_alive

__all__ = [
    "RayFolder",
    "dead_folders",
    "dead_sessions_of_before",
    "ray_path",
    "remove_dead_folders",
    "take_from_others",
]

_PREFIX = "bandstand-ray-"
_LOCK = "in-use"
_KEPT = 3
"""Folders of Rays that died, the newest, that stay for whoever asks why."""
_STARTING_SECONDS = 120.0
"""A folder without a lock is that of a server's Ray, which takes so long at most to have a process that names it."""
_LONGEST_SOCKET = "/session_2026-11-30_16-21-00_190537_4194304/sockets/plasma_store"
"""Below Ray's own folder."""
_MOST_BYTES = 103 if sys.platform == "darwin" else 107
"""That the path of a socket may have."""
_EMPTY = "empty"
_DEPTH = 3
"""Down to which Ray makes folders that everybody may write: session, runtime_resources, and its kinds."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_RAYS_OWN = Path("/tmp/ray")  # Ray's choice
_TELLING = ("python-core-driver-*.log", "debug_state.txt", "gcs_server.out")
"""Logs of a session that name the modules of its actors."""


class RayFolder:
    """A folder of mode 0700 with one that is Ray's and one that stays empty. While its process lives it is in use.

    Ray makes its folders writable for everybody, so that users of one machine may share one Ray.
    """

    def __init__(self) -> None:
        """Make one, and remove those of Rays that are gone.

        Raises:
            InputError: no folder for temporary files has a path that is short enough.
        """
        remove_dead_folders()
        self.private = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_temporary()))
        self.path = ray_path(self.private)
        """What Ray is told to be its folder."""
        self.path.mkdir(mode=0o700)
        self.empty = self.private / _EMPTY
        """Where Ray is started: a `ray.py` beside it would be imported."""
        self.empty.mkdir(mode=0o700)
        self._lock: IO[str] = (self.private / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptor of the lock, for a process that is to hold it as long as it lives, too."""
        return (self._lock.fileno(),)

    def remove(self) -> None:
        """The Ray has ended. Whoever wants to read its logs sets `BANDSTAND_KEEP_RAY_FILES`."""
        if not keeps_ray_files():
            shutil.rmtree(self.private, ignore_errors=True)
        self._lock.close()


def ray_path(private: Path) -> Path:
    """Ray's own folder in a private one."""
    return private / "r"


def take_from_others(private: Path) -> None:
    """Take from other users what Ray has given them in its folder since it was looked at last."""
    top = ray_path(private)
    for folder, folders, files in os.walk(top):
        if len(Path(folder).relative_to(top).parts) == _DEPTH:
            folders.clear()
        for one in (Path(folder), *(Path(folder, name) for name in files)):
            with suppress(OSError):  # it has just been removed
                mode = one.lstat().st_mode
                if mode & _OTHERS and not stat.S_ISLNK(mode):
                    one.chmod(stat.S_IMODE(mode) & ~_OTHERS)


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
    """Ray's own variable, the user's folder for temporary files, or the system's: the first that is short enough."""
    tried = [folder for folder in (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp") if folder]
    room = _MOST_BYTES - len(f"/{_PREFIX}12345678/r{_LONGEST_SOCKET}")
    for folder in tried:
        path = Path(folder).resolve()
        if len(os.fsencode(path)) <= room and path.is_dir() and os.access(path, os.W_OK | os.X_OK):
            return path
    raise InputError(
        f"Ray's sockets need a folder for temporary files that can be written and has a path of at most {room} bytes; "
        f"{tried[0]!r} and /tmp are none: set RAY_TMPDIR to one"
    )
