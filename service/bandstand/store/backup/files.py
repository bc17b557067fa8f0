"""The files of studies beside a dump: checkpoints and models in a tar file, and back.

Knows a folder and a tar file. Must not know the database, nor buckets, which are copied by their own means.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from bandstand.errors import InputError
from bandstand.store.backup.dumps import written_file

__all__ = ["check_archive", "count_files", "pack_files", "place_of_files", "unpack_files"]


def place_of_files(dump: Path) -> Path:
    """Where the files of the studies in a dump are, if they were backed up with it."""
    return dump.with_name(f"{dump.name}.files.tar")


def count_files(folder: Path) -> tuple[int, int]:
    """How many files there are, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return len(sizes), sum(sizes)


def pack_files(folder: Path, file: Path, *, overwrite: bool = False) -> int:
    """Copy all files below a folder into a tar file with mode 0600; returns their number.

    A file that a study removes meanwhile is left out: nobody needs it any more. One that is not complete yet, too.
    """
    count = 0
    with written_file(file, overwrite=overwrite) as written, tarfile.open(fileobj=written, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.suffix == ".unfinished" or not path.is_file() or path.is_symlink():
                continue
            try:
                archive.add(path, arcname=str(path.relative_to(folder)), recursive=False)
            except FileNotFoundError:
                continue
            count += 1
    return count


def check_archive(file: Path) -> None:
    """Refuse a tar file that is not there, or damaged.

    Raises:
        InputError: it is.
    """
    try:
        with tarfile.open(file) as archive:
            archive.getmembers()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{file} must be a tar file that `db backup --files` made: {error}") from None


def unpack_files(file: Path, folder: Path) -> int:
    """Bring the files of a tar file back; returns their number. What is in the folder beside them stays.

    Raises:
        InputError: the file is damaged, or would write elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(file) as archive:
            members = archive.getmembers()
            archive.extractall(folder, members, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{file} cannot be unpacked into {folder}: {error}") from None
    return len(members)
