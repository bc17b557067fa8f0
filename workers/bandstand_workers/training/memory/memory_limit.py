"""How much memory this process may take while it trains: `resources.memory_gb`, held by the kernel.

Knows the process's own accounts, and which trainings share them. Must not know what is trained, nor Keras or Ray.

The kernel limits a process's private writable memory (`RLIMIT_DATA`), so that an allocation that would go beyond it
fails at once, with the size that was asked for, instead of filling the machine. That account is not the resident set,
which `memory_gb` means: it also has what was reserved and never touched. Therefore the limit is set anew as each
training begins, at what the account has then and the room that the resident set leaves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["MemoryLimit", "MemoryUse", "lift", "resident_bytes"]

_LEAST_ROOM = 64 * 10**6
"""A process that is at its limit already can still run: what it does next is judged by its resident set."""
_LITTER = 0.35
"""The share of the room for models that earlier trainings may have left filled, without being counted as company."""


def resident_bytes() -> int:
    """Resident set of this process."""
    return int(psutil.Process().memory_info().rss)


@dataclass(kw_only=True, slots=True)
class MemoryUse:
    """One training's use of the process's memory."""

    crowded: bool = False
    """Whether others may have taken what it lacked: they train beside it, or have left too much behind."""
    parameters: int | None = None
    """Of its model, once that is known."""


class MemoryLimit:
    """The limit of this process, while anything trains in it."""

    def __init__(self, limit_bytes: int | None = None, baseline_bytes: int = 0):
        """Nothing trains yet.

        Args:
            limit_bytes: of the resident set; None for none.
            baseline_bytes: the resident set of the process before it trained anything.
        """
        self.limit_bytes = limit_bytes
        self._baseline_bytes = baseline_bytes
        self._lock = threading.Lock()
        self._uses: list[MemoryUse] = []
        self._of_threads: dict[int, MemoryUse] = {}
        self._trainings = 0

    @property
    def room_bytes(self) -> int | None:
        """What there is for models in a fresh process; None without a limit."""
        return None if self.limit_bytes is None else self.limit_bytes - self._baseline_bytes

    def use_of_thread(self) -> Callable[[], MemoryUse | None]:
        """Gives, also to other threads, the use of the training that the calling thread is at; None before it is."""
        thread = threading.get_ident()
        return lambda: self._of_threads.get(thread)

    @contextmanager
    def held(self) -> Iterator[MemoryUse]:
        """While this is entered, by whichever of the process's threads, more memory is refused."""
        use = MemoryUse()
        with self._lock:
            use.crowded = self._is_littered() or bool(self._uses)
            for other in self._uses:
                other.crowded = True
            self._uses.append(use)
            self._of_threads[threading.get_ident()] = use
            self._trainings += 1
            if self.limit_bytes is not None:
                _set_data_limit(max(self.limit_bytes - resident_bytes(), _LEAST_ROOM))
        try:
            yield use
        finally:
            with self._lock:
                self._uses = [other for other in self._uses if other is not use]
                self._of_threads.pop(threading.get_ident(), None)
                if not self._uses and self.limit_bytes is not None:
                    lift()

    def _is_littered(self) -> bool:
        """Whether earlier trainings have left so much behind that the next may lack it; without a limit, any might."""
        room = self.room_bytes
        if room is None:
            return self._trainings > 0
        return resident_bytes() - self._baseline_bytes > _LITTER * room


def lift() -> None:
    """Let this process take what it wants, such as to say what it ran out of."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _set_data_limit(room: int) -> None:
    """Let the account grow by `room`. Where the system has no such limit, whoever watches the resident set holds it."""
    with suppress(ImportError, ValueError, OSError, StopIteration):
        import resource

        lines = Path("/proc/self/status").read_text().splitlines()
        wanted = room + next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
