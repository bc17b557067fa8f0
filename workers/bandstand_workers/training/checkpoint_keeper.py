"""Writes checkpoints behind a training's back, and keeps the latest ones in memory for whoever resumes them here.

Knows threads and a bound on memory. Must not know what a checkpoint is for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from bandstand import stored_files
from bandstand.errors import one_line

from bandstand_workers.training import checkpoints
from bandstand_workers.training.checkpoints import Checkpoint

__all__ = ["CheckpointKeeper"]

_MEMORY_BYTES = 256 * 1024**2


class CheckpointKeeper:
    """For the trainings of one process, in whatever threads they run.

    One write is under way at a time; the next one waits for it, so that memory stays bounded.
    """

    def __init__(self, memory_bytes: int = _MEMORY_BYTES):
        """Keep up to `memory_bytes` of checkpoints in memory."""
        self._memory_bytes = memory_bytes
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._used = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._under_way: Future[None] | None = None
        self._saving = threading.Lock()

    def save(self, checkpoint: Checkpoint, uri: str, tell: Callable[[str], None]) -> None:
        """Begin to write a checkpoint.

        Args:
            checkpoint: nothing of it may change afterwards.
            uri: where to.
            tell: called from the writing thread when the file is durable, with an empty string; else with the error.
        """
        content = checkpoints.encode(checkpoint)
        with self._saving:
            self._remember(uri, content)
            self._wait()
            self._under_way = self._thread.submit(_write, content, uri, tell)

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
            FileNotFoundError: it is nowhere.
        """
        content = self._contents.get(uri)
        return checkpoints.decode(stored_files.read(uri) if content is None else content)

    def _remember(self, uri: str, content: bytes) -> None:
        self._used += len(content) - len(self._contents.pop(uri, b""))
        self._contents[uri] = content
        while self._used > self._memory_bytes:
            _, dropped = self._contents.popitem(last=False)
            self._used -= len(dropped)


def _write(content: bytes, uri: str, tell: Callable[[str], None]) -> None:
    try:
        stored_files.write(content, uri)
    except Exception as error:  # a full disk, a bucket that refuses: whoever waits must hear of it
        tell(f"{type(error).__name__}: {one_line(error)}")
    else:
        tell("")
