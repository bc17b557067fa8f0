"""Writes checkpoints behind a training's back, and keeps the latest ones in memory for whoever resumes them here.

Knows threads, a bound on memory, and what may be wrong with a file. Must not know what a checkpoint is for.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bandstand import stored_files
from bandstand.errors import one_line
from bandstand_workers.training import checkpoints
from bandstand_workers.training.checkpoints import Checkpoint, CheckpointError

__all__ = ["CheckpointKeeper"]

_MEMORY_BYTES = 256 * 1024**2


class CheckpointKeeper:
    """For the trainings of one process, in whatever threads they run.

    One write is under way at a time; the next one waits for it, so that memory stays bounded.
    """

    def __init__(self, memory_bytes: int = _MEMORY_BYTES):
        """Keep up to `memory_bytes` of checkpoints in memory."""
        self._memory_bytes = memory_bytes
        self._kept: OrderedDict[str, Checkpoint] = OrderedDict()
        self._used = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._under_way: Future[None] | None = None
        self._saving = threading.Lock()

    def save(self, checkpoint: Checkpoint, uri: str, tell: Callable[[str | None], None]) -> None:
        """Begin to write a checkpoint.

        Args:
            checkpoint: nothing of it may change afterwards.
            uri: where to.
            tell: called from the writing thread when the file is durable, with None; else with the error.
        """
        with self._saving:
            self._remember(uri, checkpoint)
            self._wait()
            self._under_way = self._thread.submit(_write, checkpoint, uri, tell)

    def wait(self) -> None:
        """Wait until everything saved so far is written and told."""
        with self._saving:
            self._wait()

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None

    def load(self, uri: str) -> Checkpoint:
        """A checkpoint, from memory if it was saved here not long ago.

        Raises:
            CheckpointError: it is nowhere, cannot be read, or is none that can be used.
        """
        kept = self._kept.get(uri)
        return checkpoints.decode(_read(uri), uri) if kept is None else kept.copied()

    def _remember(self, uri: str, checkpoint: Checkpoint) -> None:
        before = self._kept.pop(uri, None)
        self._used += checkpoint.size_bytes - (0 if before is None else before.size_bytes)
        self._kept[uri] = dataclasses.replace(checkpoint, file=uri)
        while self._used > self._memory_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._used -= dropped.size_bytes


def _read(uri: str) -> bytes:
    try:
        if _would_wait(Path(uri.removeprefix("file://"))):
            raise OSError("it is not a regular file")
        return stored_files.read(uri)
    except MemoryError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"a checkpoint must be there; {uri} is missing", "missing") from None
    except Exception as error:  # a folder in its place, no permission, a bucket that is gone
        raise CheckpointError(
            f"a checkpoint must be readable; {uri} is not: {type(error).__name__}: {one_line(error)}", "unreadable"
        ) from error


def _would_wait(path: Path) -> bool:
    """Whether reading may never end: from a pipe, a terminal, a device. Links are followed."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _write(checkpoint: Checkpoint, uri: str, tell: Callable[[str | None], None]) -> None:
    try:
        stored_files.write(checkpoints.encode(checkpoint, uri), uri)
    except Exception as error:  # noqa: BLE001  # a full disk, a bucket that refuses: whoever waits must hear of it
        tell(f"{type(error).__name__}: {one_line(error)}")
    else:
        tell(None)
