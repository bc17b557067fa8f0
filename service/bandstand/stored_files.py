"""Files of studies, at a path or an fsspec URL: checkpoints, models, and what users' code writes.

Knows where a trial's files are, how one becomes durable, and how it goes away. Must not know what is in it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bandstand.private_folders import home_folder

__all__ = ["delete", "read", "trial_of", "trial_place", "users_folder", "write"]


def trial_place(checkpoints_uri: str, study_id: int, trial: int) -> str:
    """Where a trial's checkpoints and models go, given where all studies' do."""
    return f"{checkpoints_uri}/study-{study_id}/trial-{trial:05d}"


def trial_of(place: str) -> int:
    """The number of the trial whose place this is; 0 for any other place."""
    number = place.rpartition("/trial-")[2]
    return int(number) if number.isdecimal() else 0


def users_folder(place: str) -> Path:
    """The local folder for files that a trial's own code writes, given the trial's place.

    It is in that place where this is a path: on this machine's disks, or on one that all machines share. Where it is
    in a bucket, each machine has a folder under BANDSTAND_HOME, which a trial that goes on elsewhere does not find.
    """
    local = place.removeprefix("file://")
    if "://" not in local:
        return Path(local) / "files"
    return home_folder("files") / Path(*local.split("/")[-2:])


def write(content: bytes, uri: str) -> None:
    """Write a file so that it is durable, and complete if it is there at all, when this returns."""
    path = _local(uri)
    if path is None:
        import fsspec

        fs, remote = fsspec.core.url_to_fs(uri)
        fs.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(remote, content)  # object stores show a file only when it is complete
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(uri: str) -> bytes:
    """A file's content.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = _local(uri)
    if path is not None:
        return path.read_bytes()
    import fsspec

    with fsspec.open(uri, "rb") as file:
        content: bytes = file.read()
    return content


def delete(uri: str) -> None:
    """Remove a file if it is there."""
    path = _local(uri)
    if path is not None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder goes with its last file
            path.parent.rmdir()
        return
    import fsspec

    fs, remote = fsspec.core.url_to_fs(uri)
    if fs.exists(remote):
        fs.rm(remote)


def _local(uri: str) -> Path | None:
    return None if "://" in uri else Path(uri)
