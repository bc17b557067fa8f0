"""What Bandstand has left on disks and needs no more: found, counted and removed.

Knows where each kind of remains is, and how one sees that nobody uses it. Must not know who asks, nor how it is shown.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from bandstand import stored_files, stray_files
from bandstand.errors import one_line
from bandstand.locations import bandstand_home, checkpoints_uri, database_url
from bandstand.running.command_lines import is_alive, working_folders
from bandstand.running.ray_folders import dead_folders, dead_sessions_of_before
from bandstand.store import tables
from bandstand.store.leftovers import remove_leftovers
from bandstand.store.rows.folder_rows import folders_of, named_files
from bandstand.store.rows.study_rows import try_to_hold
from bandstand.store.store import Store
from bandstand.stray_files import StoredFile

__all__ = ["Finding", "Remains", "find_remains"]

_URL_FILE = re.compile(r"bandstand-[a-z0-9_]{8}")
_URL_FILE_SECONDS = 3600.0
"""A coordinator removes its file once it has read it, which is the first that it does."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Remains of one kind in one place."""

    what: str
    """For people, such as `checkpoints and models that no study names`."""
    place: str
    count: int
    bytes: int
    remove: Callable[[], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Remains:
    """What was found."""

    findings: list[Finding]
    kept: list[str]
    """What looks like remains and stays, each with the reason, for people."""


def find_remains(store: Store, *, sole_database: bool = False) -> Remains:
    """Look for what can go; nothing is removed before a finding's `remove`.

    Args:
        store: the database.
        sole_database: whether no other database keeps its studies where this one does. Folders of studies that are not
            in this database are found, too, then.

    Raises:
        DatabaseUnreachableError: it does not answer.
    """
    found = Remains(findings=[], kept=[])
    known = _look_at_studies(store, sole_database, found)
    _look_at_unknown(known, sole_database, found)
    _look_at_deleted(store, found)
    _look_at_folders("files of Ray, which has ended", [*dead_folders(), *dead_sessions_of_before()], found)
    _look_at_folders("files of Ray Tune, which has ended", _dead_tune_folders(), found)
    _look_at_folders("temporary files of killed runs", [*_empty_folders(), *_url_files()], found)
    return found


# -- studies -----------------------------------------------------------------------------------------------------------


def _look_at_studies(store: Store, sole_database: bool, found: Remains) -> set[str]:
    """Find stray files of the studies in the database; returns the folders that are known."""
    study = tables.study.c
    with store.database.reading() as connection:
        studies = [(int(row.id), str(row.name)) for row in connection.execute(sa.select(study.id, study.name))]
    is_private = database_url() is None and "BANDSTAND_CHECKPOINTS" not in os.environ
    strays: dict[str, list[StoredFile]] = {}
    known: set[str] = set()
    for study_id, name in studies:
        with _held(store, study_id) as free:
            folders, named = _files_of(store, study_id)
            known |= {stored_files.one_name(folder) for folder in folders}
            if not free:
                found.kept.append(f"the files of {name!r}, because it runs: it cleans up by itself")
                continue
            for folder in folders:
                mine = _try(found, folder, partial(stray_files.strays_in, folder, named))
                if not mine:
                    continue
                if stored_files.is_tagged(folder) or is_private or sole_database:
                    strays.setdefault(folder.rpartition("/")[0], []).extend(mine)
                else:
                    found.kept.append(
                        f"{_counted(mine)} in {folder}, because an old version made this folder, and a study of "
                        "another database may use it: add --sole-database if none does"
                    )
    for place, files in strays.items():
        uris = {file.uri for file in files}
        found.findings.append(
            Finding(
                what="checkpoints and models that no study names", place=place, count=len(files),
                bytes=sum(file.bytes for file in files), remove=partial(_remove_strays, store, studies, uris),
            )
        )  # fmt: skip
    return known


def _remove_strays(store: Store, studies: list[tuple[int, str]], uris: set[str]) -> None:
    """Remove these files, of studies that do not run now, as far as the database still does not name them."""
    for study_id, _ in studies:
        with _held(store, study_id) as free:
            if not free:
                continue
            folders, named = _files_of(store, study_id)
            for folder in folders:
                if any(uri.startswith(f"{folder}/") for uri in uris):
                    there = {file.uri for file in stray_files.files_in(folder)}
                    stray_files.remove_strays(folder, (there - uris) | set(named))


@contextmanager
def _held(store: Store, study_id: int) -> Iterator[bool]:
    """Whether nobody runs the study, nor can until this context ends."""
    with store.database.connection() as connection:
        free = try_to_hold(connection, study_id)
        connection.commit()  # the lock belongs to the session
        try:
            yield free
        finally:
            if free:
                connection.invalidate()  # a pooled connection would keep the lock


def _files_of(store: Store, study_id: int) -> tuple[list[str], list[str]]:
    """A study's folders, those of old versions among them, and the files that the database names."""
    with store.database.reading() as connection:
        folders, named = folders_of(connection, study_id), named_files(connection, study_id)
    old = f"study-{study_id}"
    above = [uri.rpartition("/")[0].rpartition("/")[0] for uri in named]
    candidates = [folder for folder in above if folder.rpartition("/")[2] == old]
    if not folders:
        candidates.append(f"{checkpoints_uri()}/{old}")
    return list(dict.fromkeys([*folders, *candidates])), named


def _look_at_unknown(known: set[str], sole_database: bool, found: Remains) -> None:
    """Find the folders of studies that are not in the database."""
    root = checkpoints_uri()
    for folder in _try(found, root, partial(stray_files.folders_in, root)) or []:
        if stored_files.one_name(folder) in known:
            continue
        files = _try(found, folder, partial(stray_files.files_in, folder))
        if not files:
            continue
        if sole_database:
            found.findings.append(
                Finding(
                    what="a study that is not in the database", place=folder, count=len(files),
                    bytes=sum(file.bytes for file in files),
                    remove=partial(_remove_all, folder),
                )
            )  # fmt: skip
        else:
            found.kept.append(
                f"{_counted(files)} in {folder}, because that study is not in this database and may be in another "
                "one: add --sole-database if there is none"
            )


def _look_at_deleted(store: Store, found: Remains) -> None:
    """Find what deletions have left."""
    with store.database.reading() as connection:
        rows = list(connection.execute(sa.select(tables.leftover)))
    for row in rows:
        files = [
            file for folder in row.folders for file in _try(found, folder, partial(stray_files.files_in, folder)) or []
        ]
        place = (row.folders or [row.files[0].rpartition("/")[0]])[0]
        found.findings.append(
            Finding(
                what="files of a deleted study", place=place, count=len({*row.files, *(file.uri for file in files)}),
                bytes=sum(file.bytes for file in files),
                remove=partial(remove_leftovers, store.database, [row.id]),
            )
        )  # fmt: skip


# -- this machine ------------------------------------------------------------------------------------------------------


def _look_at_folders(what: str, paths: list[Path], found: Remains) -> None:
    """Add what a local kind of remains consists of, by the folder that it is in."""
    by_place: dict[Path, list[Path]] = {}
    for path in paths:
        by_place.setdefault(path.parent, []).append(path)
    for place, remains in by_place.items():
        found.findings.append(
            Finding(
                what=what, place=str(place), count=len(remains), bytes=sum(map(_bytes_of, remains)),
                remove=partial(_remove_paths, remains),
            )
        )  # fmt: skip


def _dead_tune_folders() -> list[Path]:
    import socket

    prefix = f"{socket.gethostname()}-"
    found = []
    for folder in (bandstand_home() / "tune").glob(f"{prefix}*"):
        process = folder.name.removeprefix(prefix).split("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            found.append(folder)
    return found


def _empty_folders() -> list[Path]:
    """Folders that processes of Ray stood in: those that none stands in any more."""
    standing = working_folders()
    if standing is None:
        return []
    folders = [*_temporary("bandstand-empty-*"), *_temporary("bandstand-probe-*")]
    return [folder for folder in folders if folder.is_dir() and str(folder) not in standing and not _is_new(folder)]


def _url_files() -> list[Path]:
    """Files with the database's URL that no coordinator came to read."""
    return [
        path
        for path in _temporary("bandstand-*")
        if _URL_FILE.fullmatch(path.name) and path.is_file() and not _is_new(path)
    ]


def _is_new(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime < _URL_FILE_SECONDS


def _temporary(pattern: str) -> list[Path]:
    """This user's files and folders of this name in the folder for temporary files."""
    found = []
    for path in Path(tempfile.gettempdir()).glob(pattern):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid() and not path.is_symlink():
                found.append(path)
    return found


def _bytes_of(path: Path) -> int:
    """What a file takes, or all files of a folder; links are not followed."""
    if not path.is_dir():
        try:
            return path.lstat().st_size
        except FileNotFoundError:  # its process has just removed it
            return 0
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += (Path(folder) / name).lstat().st_size
    return total


def _remove_paths(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _try(found: Remains, place: str, look: Callable[[], T]) -> T | None:
    """What a look at a place finds; if it cannot be looked at, that is told and the rest goes on."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001  # of whatever file system it is
        found.kept.append(f"what is in {place}, because it cannot be looked at: {one_line(error)}")
        return None


def _counted(files: list[StoredFile]) -> str:
    return f"{len(files)} {'file' if len(files) == 1 else 'files'} ({sum(file.bytes for file in files) / 1e6:.1f} MB)"


def _remove_all(folder: str) -> None:
    stray_files.remove_strays(folder, ())
