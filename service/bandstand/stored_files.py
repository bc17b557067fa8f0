"""Files of studies, at a path or an fsspec URL: checkpoints, models, and what users' code writes.

Knows where a trial's files are, how one becomes durable, and how it goes away. Must not know what is in it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bandstand.errors import one_line
from bandstand.private_folders import home_folder

__all__ = [
    "delete",
    "is_tagged",
    "local_path",
    "one_name",
    "read",
    "study_folder",
    "trial_of",
    "trial_place",
    "try_to_delete",
    "unfinished_name",
    "users_folder",
    "without_remains",
    "write",
]

_TAGGED = re.compile(r"study-\d+-[0-9a-f]{8}")
_log = logging.getLogger(__name__)


def study_folder(checkpoints_uri: str, study_id: int, tag: str) -> str:
    """Where a study's files go, given where all studies' do.

    Args:
        checkpoints_uri: that place.
        study_id: of the study, which is unique in its database only.
        tag: of the study, which no study of another database has; empty for studies of old versions.
    """
    return f"{checkpoints_uri}/study-{study_id}{f'-{tag}' if tag else ''}"


def one_name(uri: str) -> str:
    """The one name of a file or folder that may be reached by several: on a disk its path without links.

    Names are compared before anything is removed, and those in a database may be of a time when a link led elsewhere.
    """
    path = local_path(uri)
    return uri.rstrip("/") if path is None else str(path.resolve())


def is_tagged(folder: str) -> bool:
    """Whether this folder belongs to one study alone; one without a tag may hold files of two databases' studies."""
    return _TAGGED.fullmatch(folder.rpartition("/")[2]) is not None


def trial_place(folder: str, trial: int) -> str:
    """Where a trial's checkpoints and models go, given the folder of its study."""
    return f"{folder}/trial-{trial:05d}"


def trial_of(place: str) -> int:
    """The number of the trial whose place this is; 0 for any other place."""
    number = place.rpartition("/trial-")[2]
    return int(number) if number.isdecimal() else 0


def users_folder(place: str) -> Path:
    """The local folder for files that a trial's own code writes, given the trial's place.

    It is in that place where this is a path: on this machine's disks, or on one that all machines share. Where it is
    in a bucket, each machine has a folder under BANDSTAND_HOME, which a trial that goes on elsewhere does not find.
    """
    local = local_path(place)
    if local is not None:
        return local / "files"
    return home_folder("files") / Path(*place.split("/")[-2:])


def write(content: bytes, uri: str) -> None:
    """Write a file so that it is durable, and complete if it is there at all, when this returns."""
    path = local_path(uri)
    if path is None:
        import fsspec

        fs, remote = fsspec.core.url_to_fs(uri)
        fs.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(remote, content)  # object stores show a file only when it is complete
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(unfinished_name(path.name))
    with without_remains(unfinished):
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


def unfinished_name(name: str) -> str:
    """What a file is called while this process writes it."""
    return f"{Path(name).stem}.{os.getpid()}.unfinished"


@contextmanager
def without_remains(path: Path) -> Iterator[None]:
    """While a file is written: if that fails, say because the disk is full, nothing of the file stays there."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def read(uri: str) -> bytes:
    """A file's content.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = local_path(uri)
    if path is not None:
        return path.read_bytes()
    import fsspec

    with fsspec.open(uri, "rb") as file:
        content: bytes = file.read()
    return content


def delete(uri: str) -> None:
    """Remove a file if it is there."""
    path = local_path(uri)
    if path is not None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder goes with its last file
            path.parent.rmdir()
        return
    import fsspec

    fs, remote = fsspec.core.url_to_fs(uri)
    if fs.exists(remote):
        fs.rm(remote)


def try_to_delete(uri: str) -> bool:
    """As `delete`, for a file that nobody needs: whether it is gone. If it cannot be removed, the log says so."""
    try:
        delete(uri)
    except Exception as error:  # noqa: BLE001  # of whatever file system it is
        _log.warning("%s is needed no more and cannot be removed: %s", uri, one_line(error))
        return False
    return True


def local_path(uri: str) -> Path | None:
    """The path of a file or folder on this machine's disks, or on one that machines share; None for any other URL."""
    uri = uri.removeprefix("file://")
    return None if "://" in uri else Path(uri)
