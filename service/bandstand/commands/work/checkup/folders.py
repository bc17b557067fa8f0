"""Folders and disks: where things are kept, whether there is room, and whether sockets fit there.

Knows the file system. Must not know what the files hold.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bandstand.commands.work.checkup.finding import Finding, ok, problem, warning
from bandstand.errors import InputError
from bandstand.extras import missing_packages
from bandstand.locations import bandstand_home, checkpoints_uri, database_url, ray_address
from bandstand.running.ray_folders import dead_folders

__all__ = ["examine_folders", "file_system_of", "nearest"]

_SOCKET_BYTES = 107
"""A longer path is no socket's on Linux."""
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "glusterfs", "fuse.glusterfs", "lustre", "9p")
_FULL_BYTES = 512 * 1024**2
_LOW_BYTES = 4 * 1024**3
_RAY_STOPS = 0.95
"""Ray keeps nothing on a disk that is fuller."""
_SHARED_BYTES = 192 * 1024**2
"""The object store of a local Ray takes 128 MiB of it."""


def examine_folders() -> Iterator[Finding]:
    """The home, the checkpoints, the folder for temporary files, shared memory."""
    home, temporary = bandstand_home(), Path(tempfile.gettempdir())
    yield _permissions("home", home, "set BANDSTAND_HOME to a folder of yours")
    yield from _database_folder(home)
    places = {"home": home, "temporary files": temporary}
    uri = checkpoints_uri()
    if "://" not in uri:
        places["checkpoints"] = Path(uri)
        yield _permissions("checkpoints", Path(uri), "set BANDSTAND_CHECKPOINTS to a folder that you can write to")
    elif uri.startswith("s3://") and missing_packages(["s3fs"]):
        yield problem(
            "checkpoints", "they go to an S3 bucket, and s3fs is not installed", 'pip install "bandstand[s3]"'
        )
    else:
        yield ok("checkpoints", f"they go to {uri.partition('://')[0]}://…, which was not asked")
    yield from _disks(places)
    yield from _for_ray()


def nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


def file_system_of(path: Path, mounts: str | None = None) -> str:
    """The kind of file system that a path is on, such as ext4; empty where it cannot be told.

    Args:
        path: absolute.
        mounts: the text of `/proc/self/mountinfo`, which is read when left out.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text()
        except OSError:
            return ""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        place = before.split()[4].encode().decode("unicode_escape")  # a blank is written as \\040
        if (path == Path(place) or Path(place) in path.parents) and len(place) >= len(best):
            best, kind = place, after.split()[0]
    return kind


def _permissions(part: str, path: Path, advice: str) -> Finding:
    there = nearest(path)
    if not there.is_dir():
        return problem(part, f"{there} is a file, and a folder is needed there", advice)
    if not os.access(there, os.W_OK | os.X_OK):
        return problem(part, f"you may not write to {there}", advice)
    if there != path:
        return ok(part, f"{path} will be made")
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return problem(part, f"everybody may write to {path}", f"chmod o-w {path}")
    return ok(part, str(path))


def _database_folder(home: Path) -> Iterator[Finding]:
    if database_url() is not None:
        return
    kind = file_system_of(nearest(home).resolve())
    if kind in _NETWORK:
        yield warning(
            "home", f"{home} is on a network file system ({kind}), and the embedded PostgreSQL keeps its data there",
            "set BANDSTAND_HOME to a local disk, or BANDSTAND_DATABASE_URL to a server",
        )  # fmt: skip
    if len(str(home / "postgres" / ".s.PGSQL.5432").encode()) > _SOCKET_BYTES:
        yield warning(
            "home", f"{home} is too long a path for the socket of PostgreSQL, which goes elsewhere",
            "set BANDSTAND_HOME to a shorter path",
        )  # fmt: skip


def _disks(places: dict[str, Path]) -> Iterator[Finding]:
    seen: dict[int, list[str]] = {}
    for name, path in places.items():
        seen.setdefault(nearest(path).stat().st_dev, []).append(name)
    for names in seen.values():
        usage = shutil.disk_usage(nearest(places[names[0]]))
        told = f"{_size(usage.free)} are free for {' and '.join(names)}"
        advice = "make room: `bandstand list` shows the studies, `bandstand delete NAME` removes one"
        if usage.free < _FULL_BYTES:
            yield problem("disk", told, advice)
        elif usage.free < _LOW_BYTES or ("temporary files" in names and usage.used > _RAY_STOPS * usage.total):
            yield warning("disk", f"{told}, {usage.free / usage.total:.0%} of the disk", advice)
        else:
            yield ok("disk", told)


def _for_ray() -> Iterator[Finding]:
    if ray_address() is not None or missing_packages(["ray"]):
        return
    try:
        dead_folders()
    except InputError as error:
        message, _, advice = str(error).rpartition(": ")
        yield problem("sockets", message, advice)
    shared = Path("/dev/shm")  # where Linux keeps shared memory
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < _SHARED_BYTES:
        yield warning(
            "shared memory", f"/dev/shm has {_size(free)}, and Ray wants {_size(_SHARED_BYTES)}",
            "give it more; in a container, `docker run --shm-size=512m`",
        )  # fmt: skip


def _size(count: float) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
