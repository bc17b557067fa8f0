"""The folder of a Ray of ours: where it is, and that nobody else of the machine can look into it.

Knows lengths of paths, modes and owners. Imports no Ray. Must not know how Ray is started. Ray makes its folders
writable for everybody, so that users of one machine may share one Ray; ours lie in a folder of mode 0700.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from bandstand.errors import InputError

__all__ = ["RayFolder"]

_LONGEST_SOCKET = "/session_2026-11-30_16-21-00_190537_4194304/sockets/plasma_store"
"""Below Ray's own folder."""
_MOST_BYTES = 103 if sys.platform == "darwin" else 107
"""That the path of a socket may have."""
_OWN = "r"
_EMPTY = "empty"
_LOCK = "lock"
_DEPTH = 3
"""Down to which Ray makes folders that everybody may write: session, runtime_resources, and its kinds."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class RayFolder:
    """A folder of mode 0700 with one that is Ray's and one that stays empty."""

    def __init__(self, path: Path, lock: IO[str] | None = None):
        """Of a folder that is there; `make` makes one."""
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, prefix: str) -> RayFolder:
        """A new one; those of the same prefix that a killed process has left are removed.

        Its name is unknown before. It is locked while this process lives, or another one that is given its lock.

        Raises:
            InputError: no folder for temporary files has a path that is short enough.
        """
        place = _place(prefix)
        _remove_left(place, prefix)
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))  # with mode 0700
        lock = (path / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        (path / _OWN).mkdir(mode=0o700)
        (path / _EMPTY).mkdir(mode=0o700)
        return cls(path, lock)

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptor of the lock, for a process that is to hold it as long as it lives, too."""
        return () if self._lock is None else (self._lock.fileno(),)

    @property
    def of_ray(self) -> Path:
        """What Ray is told to be its folder for temporary files."""
        return self.path / _OWN

    @property
    def empty(self) -> Path:
        """Where Ray is started: a `ray.py` beside it would be imported."""
        return self.path / _EMPTY

    def close(self) -> None:
        """Take from others what Ray has given them since it was looked at last."""
        for folder, folders, files in os.walk(self.of_ray):
            level = len(Path(folder).relative_to(self.of_ray).parts)
            if level == _DEPTH:
                folders.clear()
            for one in (Path(folder), *(Path(folder, name) for name in files)):
                _take_from_others(one)

    def remove(self) -> None:
        """Remove it with all that Ray has left there."""
        shutil.rmtree(self.path, ignore_errors=True)


def _place(prefix: str) -> Path:
    """Ray's own variable, the user's folder for temporary files, or the system's: the first that is short enough."""
    tried = [folder for folder in (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp") if folder]
    room = _MOST_BYTES - len(f"/{prefix}12345678/{_OWN}{_LONGEST_SOCKET}")
    for folder in tried:
        path = Path(folder).resolve()
        if len(os.fsencode(path)) <= room and path.is_dir() and os.access(path, os.W_OK | os.X_OK):
            return path
    raise InputError(
        f"Ray's sockets need a folder for temporary files that can be written and has a path of at most {room} bytes; "
        f"{tried[0]!r} and /tmp are none: set RAY_TMPDIR to one"
    )


def _remove_left(place: Path, prefix: str) -> None:
    """Remove the folders of processes that are gone: nobody holds their lock any more."""
    for left in place.glob(f"{prefix}*"):
        with suppress(OSError):  # another user's, or one that has just been removed
            if left.lstat().st_uid != os.geteuid() or not (left / _LOCK).is_file():
                continue
            with (left / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)


def _take_from_others(path: Path) -> None:
    with suppress(OSError):  # it has just been removed
        mode = path.lstat().st_mode
        if mode & _OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
