"""A log that cannot fill a disk: what a process writes goes through a pipe into a few files of limited size.

Knows files and sizes. Must not know whose log it is. Whoever made the pipe reads it in a thread; the writer is never
kept waiting for a disk that is full.
"""

from __future__ import annotations

import io
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from bandstand.running.command_lines import is_alive

__all__ = ["BoundedLog", "BoundedText", "begin_anew", "remove_old_logs"]

_FILE_BYTES = 8 * 1024**2
_OLDER_FILES = 2
_KEPT_LOGS = 50
"""Logs of ended runs that stay in a folder, the newest."""
_END_SECONDS = 5.0
"""How long the rest may take to come once the writer has ended; a child of it may hold the pipe."""
_PIECE = 64 * 1024


class BoundedLog:
    """`run.log` with the newest, `run.log.1` and `run.log.2` with what came before; what is older is dropped."""

    def __init__(self, path: Path, file_bytes: int = _FILE_BYTES, older_files: int = _OLDER_FILES):
        """Open the pipe; `writer` is its end for the process."""
        self.path = path
        self._file_bytes = file_bytes
        self._older_files = older_files
        self._reader, self.writer = os.pipe()
        self._file = path.open("ab", buffering=0)
        self._size = 0
        self._thread = threading.Thread(target=self._copy, name="log", daemon=True)
        self._thread.start()

    def close_writer(self) -> None:
        """The process has its own copy of the writer now: when that is closed, the log is complete."""
        os.close(self.writer)

    def wait(self) -> None:
        """Wait until all that an ended process has written is in the file."""
        self._thread.join(_END_SECONDS)

    def _copy(self) -> None:
        with self._file, suppress(OSError):
            while piece := os.read(self._reader, _PIECE):
                with suppress(OSError):  # the disk is full: what is lost is a log, and nobody waits
                    self._write(piece)
        self._file.close()
        os.close(self._reader)

    def _write(self, piece: bytes) -> None:
        if self._size + len(piece) > self._file_bytes:
            self._file.close()
            for number in range(self._older_files, 0, -1):
                before = self.path if number == 1 else self._older(number - 1)
                if before.exists():
                    before.replace(self._older(number))
            self._file = self.path.open("ab", buffering=0)
            self._size = 0
        self._file.write(piece)
        self._size += len(piece)

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def begin_anew(path: Path, file_bytes: int = _FILE_BYTES) -> None:
    """Put a log aside that has grown large; for logs that are begun seldom and grow little at a time."""
    if path.exists() and path.stat().st_size > file_bytes:
        path.replace(path.with_name(f"{path.name}.1"))


class BoundedText(io.TextIOBase):
    """A stream that passes on so many characters, then says that it drops the rest.

    For what another program keeps in one file: that file cannot be begun anew by us.
    """

    def __init__(self, stream: TextIO, characters: int):
        """Nothing is passed on yet."""
        self._stream = stream
        self._left = characters

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """As a stream's."""
        if self._left > 0:
            self._stream.write(text[: self._left])
            if len(text) > self._left:
                self._stream.write("\n… what is printed from here on is dropped\n")
                self._stream.flush()
        self._left -= len(text)
        return len(text)

    def flush(self) -> None:
        """As a stream's."""
        self._stream.flush()


def remove_old_logs(folder: Path, kept: int = _KEPT_LOGS) -> None:
    """Remove the logs of runs that have ended, but for the newest. A log's name ends with its run's process id."""
    logs = sorted(folder.glob("workers-*.log"), key=lambda path: path.name, reverse=True)
    for log in logs[kept:]:
        process = log.stem.rpartition("-")[2]
        if process.isdecimal() and not is_alive(int(process)):
            for file in (log, *folder.glob(f"{log.name}.*")):
                file.unlink(missing_ok=True)
