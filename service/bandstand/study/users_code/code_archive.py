"""Archives of users' code: checked, and known by their content.

Knows zip files. Must not know where they are kept; nothing in them is ever run or unpickled here.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bandstand.errors import InputError
from bandstand.study.users_code.archive_remarks import archive_remarks

__all__ = ["MAX_CODE_BYTES", "PROJECT_FOLDER", "CodeArchive", "list_files"]

PROJECT_FOLDER = "bandstand_project"
"""Where an archive is unpacked, in a folder that holds nothing else. That folder becomes the job's working directory,
which Ray puts before everything else that its processes import: a `random.py` right in it would end each of them."""

MAX_CODE_BYTES = 50 * 10**6
"""Of an archive, packed."""
_MAX_UNPACKED_BYTES = 500 * 10**6
_MAX_FILES = 10_000
_LEFT_OUT = ("__pycache__", "node_modules")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, OSError, EOFError)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files make the same archive, whenever they were written


@dataclass(frozen=True)
class CodeArchive:
    """A zip file of a project, which a job on the cluster finds its modules in."""

    content: bytes

    @property
    def sha256(self) -> str:
        """What it is known by."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def of_folder(cls, folder: str | Path, extra: Mapping[str, bytes] | None = None) -> CodeArchive:
        """The files below a folder; equal files give an equal archive.

        What `list_files` leaves out is.

        Args:
            folder: the project.
            extra: further files, by path.

        Raises:
            InputError: there is no such folder, or it is too large.
        """
        files = list_files(folder)[0]
        cls.check_sizes(folder, files)
        return cls.of_files({name: path.read_bytes() for name, path in files.items()} | dict(extra or {}))

    @staticmethod
    def check_sizes(folder: str | Path, files: Mapping[str, Path]) -> None:
        """Refuse files of a folder that are too many or too large, before they are read.

        Raises:
            InputError: they are.
        """
        size = sum(path.stat().st_size for path in files.values())
        if size > _MAX_UNPACKED_BYTES or len(files) > _MAX_FILES:
            raise InputError(
                f"code must have at most {_MAX_UNPACKED_BYTES // 10**6} MB and {_MAX_FILES} files; {str(folder)!r} has "
                f"{size / 10**6:.0f} MB and {len(files)} files: keep data in another folder"
            )

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> CodeArchive:
        """These files, by their paths.

        Raises:
            InputError: they are too large.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(files):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name], zipfile.ZIP_DEFLATED)
        made = cls(buffer.getvalue())
        made.check()
        return made

    def check(self) -> None:
        """Refuse what must not be unpacked.

        Raises:
            InputError: it is no zip file, too large, or holds links, absolute paths or paths that lead out of it.
        """
        if len(self.content) > MAX_CODE_BYTES:
            raise InputError(
                f"code must have at most {MAX_CODE_BYTES // 10**6} MB when packed; got "
                f"{len(self.content) / 10**6:.1f} MB: keep data in another folder"
            )
        try:
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                entries = archive.infolist()
        except _UNREADABLE as error:
            raise InputError(f"code must be a zip file; it cannot be read: {error}") from None
        if len(entries) > _MAX_FILES or sum(entry.file_size for entry in entries) > _MAX_UNPACKED_BYTES:
            raise InputError(
                f"code must have at most {_MAX_UNPACKED_BYTES // 10**6} MB and {_MAX_FILES} files when unpacked; got "
                "more: keep data in another folder"
            )
        for entry in entries:
            _check_entry(entry)

    def remarks(self) -> list[str]:
        """What is unusual about its files, a line for each kind; it must have been checked."""
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            return archive_remarks(entry.filename for entry in archive.infolist() if not entry.is_dir())

    def unpack(self, folder: Path) -> None:
        """Write the files below `folder`, which must exist; what an archive claims of its sizes is not believed.

        Raises:
            InputError: as `check`, or it holds more than it says.
        """
        self.check()
        left = _MAX_UNPACKED_BYTES
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            for entry in archive.infolist():
                target = folder / PurePosixPath(entry.filename)
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with archive.open(entry) as source:
                        data = source.read(left + 1)
                except _UNREADABLE as error:
                    raise InputError(f"code must be a zip file; {entry.filename!r} cannot be read: {error}") from None
                left -= len(data)
                if left < 0:
                    raise InputError(
                        f"code must have at most {_MAX_UNPACKED_BYTES // 10**6} MB when unpacked; got more: keep "
                        "data in another folder"
                    )
                target.write_bytes(data)


def list_files(folder: str | Path) -> tuple[dict[str, Path], list[str]]:
    """The files of a project, by their paths in it, and what is left out.

    Left out are hidden files, caches, virtual environments, links, and notebooks, which change whenever they are saved
    and which nobody imports. What is below a folder that is left out is not listed.

    Raises:
        InputError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"code must be a folder; {str(folder)!r} is none: check the path")
    files: dict[str, Path] = {}
    left_out: list[str] = []
    for where, folders, names in os.walk(root):
        here = Path(where)
        for name in list(folders):
            if not _belongs(name) or (here / name).is_symlink() or (here / name / "pyvenv.cfg").exists():
                folders.remove(name)
                left_out.append(f"{(here / name).relative_to(root).as_posix()}/")
        for name in names:
            path = here / name
            inside = path.relative_to(root).as_posix()
            if _belongs(name) and path.suffix != ".ipynb" and path.is_file() and not path.is_symlink():
                files[inside] = path
            else:
                left_out.append(inside)
    return files, sorted(left_out)


def _belongs(name: str) -> bool:
    return not (name in _LEFT_OUT or name.startswith(".") or name.endswith(".egg-info"))


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = PurePosixPath(name).parts
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"code must hold files and folders only; {name!r} is a link or a device: leave it out")
    if name.startswith(("/", "\\")) or "\\" in name or ":" in name or ".." in parts or "\0" in name or not parts:
        raise InputError(f"code must hold paths that stay inside it; got {name!r}: leave it out")
    if entry.flag_bits & 0x1:
        raise InputError(f"code must not be encrypted; {name!r} is: pack it without a password")
