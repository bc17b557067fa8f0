"""Stray files: those in a study's folder that Bandstand wrote and that the database does not name.

Knows the names of Bandstand's files. What is called otherwise belongs to the user and is never touched. Must not know
the database, nor who may write into a folder at the moment: whoever asks holds the study's lease.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bandstand import stored_files

__all__ = [
    "StoredFile",
    "bytes_below",
    "files_in",
    "folders_in",
    "is_file_of",
    "is_folder_of",
    "remove_strays",
    "strays_in",
]

_STUDY = re.compile(r"study-\d+(-[0-9a-f]{8})?")
_TRIAL = re.compile(r"trial-\d{5,}")
_OURS = re.compile(
    r"(?:(?:epoch-\d{4,}|model)-attempt-(?P<attempt>\d+)|average|ensemble)"
    r"(?:\.\d+\.unfinished|(?:\.\d+\.unfinished)?(?:\.checkpoint|\.keras|\.weights\.h5))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """One of Bandstand's files in a study's folder."""

    uri: str
    """Its path or URL, as the database would name it."""
    trial: int
    attempt: int | None
    """The trial's attempt that wrote it; None for a combined model."""
    bytes: int


def is_folder_of(study_id: int, folder: str) -> bool:
    """Whether a folder is called as the one of this study."""
    name = folder.rpartition("/")[2]
    return _STUDY.fullmatch(name) is not None and name.split("-")[1] == str(study_id)


def is_file_of(study_id: int, uri: str) -> bool:
    """Whether a file is called as one that Bandstand writes for this study.

    What names a file may come from a job, whose code is not trusted with any other file.
    """
    folder, place, name = (*uri.rsplit("/", 2), "", "")[:3]
    ours = _TRIAL.fullmatch(place) is not None and _OURS.fullmatch(name) is not None
    return ours and is_folder_of(study_id, folder) and ".." not in uri.split("/")


def files_in(folder: str) -> list[StoredFile]:
    """Bandstand's files in a study's folder, whether anybody needs them or not; none where there is no such folder."""
    found = []
    for place, name, size in _listing(folder):
        ours = _OURS.fullmatch(name)
        if _TRIAL.fullmatch(place) and ours:
            trial = int(place.removeprefix("trial-"))
            attempt = None if ours["attempt"] is None else int(ours["attempt"])
            found.append(StoredFile(uri=f"{folder}/{place}/{name}", trial=trial, attempt=attempt, bytes=size))
    return found


def folders_in(checkpoints_uri: str) -> list[str]:
    """The folders of studies, of whatever database, in the place where all studies' files are."""
    path = stored_files.local_path(checkpoints_uri)
    if path is not None:
        names = [one.name for one in os.scandir(path) if one.is_dir()] if path.is_dir() else []
    else:
        import fsspec

        fs, remote = fsspec.core.url_to_fs(checkpoints_uri)
        fs.invalidate_cache(remote)
        names = [one.rstrip("/").rpartition("/")[2] for one in fs.ls(remote, detail=False)] if fs.exists(remote) else []
    return [f"{checkpoints_uri}/{name}" for name in sorted(names) if _STUDY.fullmatch(name)]


def bytes_below(checkpoints_uri: str) -> int:
    """How much Bandstand's files take of the place where all studies' files are.

    Raises:
        Exception: it cannot be looked through.
    """
    return sum(file.bytes for folder in folders_in(checkpoints_uri) for file in files_in(folder))


def strays_in(folder: str, named: Collection[str], may_be_named: Collection[tuple[int, int]] = ()) -> list[StoredFile]:
    """The files of a study's folder that can go.

    Args:
        folder: of the study.
        named: what the database names.
        may_be_named: trials with their attempts that still train, whose files the database may name in a moment.
    """
    place_of = cache(stored_files.one_name)  # of a trial, which has many files

    def one_name(uri: str) -> str:  # a link in a trial's folder is a file of its own
        place, _, name = uri.rpartition("/")
        return f"{place_of(place)}/{name}"

    kept = {one_name(uri) for uri in named}
    return [
        file
        for file in files_in(folder)
        if one_name(file.uri) not in kept and (file.trial, file.attempt) not in may_be_named
    ]


def remove_strays(folder: str, named: Collection[str], may_be_named: Collection[tuple[int, int]] = ()) -> int:
    """Remove what `strays_in` finds, and folders that are empty then; returns the number of bytes that went.

    Raises:
        Exception: the folder cannot be looked through.
    """
    gone = sum(file.bytes for file in strays_in(folder, named, may_be_named) if stored_files.try_to_delete(file.uri))
    path = stored_files.local_path(folder)
    if path is not None:
        with suppress(OSError):
            for place in os.scandir(path):
                if _TRIAL.fullmatch(place.name):
                    with suppress(OSError):  # it holds something
                        Path(place).rmdir()
            path.rmdir()
    return gone


def _listing(folder: str) -> Iterator[tuple[str, str, int]]:
    """Folder, name and bytes of the files that lie in the folders of a study's folder."""
    path = stored_files.local_path(folder)
    if path is not None:
        yield from _local_listing(path)
        return
    import fsspec

    fs, remote = fsspec.core.url_to_fs(folder)
    fs.invalidate_cache(remote)
    try:
        # Not `maxdepth`: object stores answer the whole prefix at once, and then need one request per thousand files.
        listed = fs.find(remote, detail=True)
    except FileNotFoundError:
        return
    for full, facts in listed.items():
        place, *names = full.strip("/").removeprefix(f"{remote.strip('/')}/").split("/")
        if len(names) == 1:  # neither higher nor deeper
            yield place, names[0], int(facts.get("size") or 0)


def _local_listing(path: Path) -> Iterator[tuple[str, str, int]]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for place in os.scandir(path):
            if not place.is_dir():
                continue
            with suppress(FileNotFoundError):
                for file in os.scandir(place):
                    if file.is_file(follow_symlinks=False) or file.is_symlink():
                        yield place.name, file.name, file.stat(follow_symlinks=False).st_size
