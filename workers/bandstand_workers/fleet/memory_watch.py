"""Watches the memory of a process that trains, and says so before it is too late.

Knows the resident set, the machine's free memory, and two limits. Must not know what is trained.

A process that the kernel kills, or Ray, says nothing any more. So it says beforehand how near it is to its limit, or
the machine to its own: from its last word, whoever finds it dead knows of what it died.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil

from bandstand_workers.messages import MemoryWord
from bandstand_workers.training.memory.memory_limit import MemoryUse, resident_bytes

__all__ = ["MemoryWatch", "machine_memory"]

_LOOK_SECONDS = 0.2
_NEAR = 0.9
"""The share of the limit from which on each further growth is told."""
_GROWN = 1.03
"""By how much the process has grown since it was last told."""
_OVER = 1.08
"""Times the limit at which the process ends itself: the kernel has not held the limit, as on JAX or on macOS."""
_MACHINE_LEFT = 0.1
"""The share of the machine's memory that is left when it is told to be short."""
_MACHINE_SHARE = 0.1
"""The share of the machine's memory that a process has of which it is told."""
_CGROUP = Path("/sys/fs/cgroup")


class MemoryWatch:
    """A thread that watches while it is entered."""

    def __init__(
        self,
        limit_bytes: int | None,
        use: Callable[[], MemoryUse | None],
        tell: Callable[[MemoryWord], None],
        end: Callable[[], None] | None = None,
    ):
        """Nothing is watched before it is entered.

        Args:
            limit_bytes: of the process; None where only the machine has one.
            use: the training's, once it has begun.
            tell: is given each word, and returns when it has arrived, or soon.
            end: ends the process; at once where None.
        """
        self._limit = limit_bytes
        self._use = use
        self._tell = tell
        self._end = end or _end_process
        self._over = threading.Event()
        self._told_bytes = 0.0
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Tell, or end the process, if it is time."""
        used = resident_bytes()
        if self._limit is not None and used > _OVER * self._limit:
            self._tell(self._word(used, self._limit, machine=False))
            self._end()
        elif self._limit is not None and used > _NEAR * self._limit:
            self._tell_growth(used, self._limit, machine=False)
        else:
            total, left = machine_memory()
            if left < _MACHINE_LEFT * total and used > _MACHINE_SHARE * total:
                self._tell_growth(used, total, machine=True)

    def _tell_growth(self, used: int, limit: int, *, machine: bool) -> None:
        if used > _GROWN * self._told_bytes:
            self._told_bytes = used
            self._tell(self._word(used, limit, machine=machine))

    def _word(self, used: int, limit: int, *, machine: bool) -> MemoryWord:
        use = self._use() or MemoryUse()
        return MemoryWord(
            used_bytes=used, limit_bytes=limit, machine=machine, parameters=use.parameters, crowded=use.crowded
        )


def machine_memory() -> tuple[int, int]:
    """What this machine has, or its container, and what is left of it; in bytes."""
    found = psutil.virtual_memory()
    total, left = int(found.total), int(found.available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return total, left
    cached = int(stat.get("inactive_file", 0))  # which the kernel takes back before it kills
    return min(total, limit), min(left, limit - used + cached)


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # in the middle of whatever it does: its memory is not to grow further
