"""The end of the process: by signal, or because whoever started it has gone; and waiting that the end cuts short.

Knows signals and standard input. Must not know what is done meanwhile.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable

from bandstand.errors import BandstandError

__all__ = ["Ending", "Patience"]

_AWAY_SECONDS = (1.0, 10.0)
"""After the first failure to reach something, doubled with each further one; and the most."""
_log = logging.getLogger(__name__)


class Ending:
    """Whether this process is to end; whoever waits for something else is woken."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._wakes: list[Callable[[], None]] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._end())
        threading.Thread(target=self._follow_parent, daemon=True).start()

    def is_wanted(self) -> bool:
        """Whether to end."""
        return self._wanted.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the end is wanted."""
        self._wanted.wait(seconds)

    def wakes(self, wake: Callable[[], None]) -> None:
        """Call this when the end is wanted; it may be called in a signal handler."""
        self._wakes.append(wake)

    def _end(self) -> None:
        self._wanted.set()
        for wake in self._wakes:
            wake()

    def _follow_parent(self) -> None:
        while os.read(0, 4096):
            pass
        self._end()


class Patience:
    """Waits longer each time that something is away, and says so once."""

    def __init__(self, ending: Ending):
        self._ending = ending
        self._failures = 0

    def failed(self, error: BandstandError) -> None:
        """Something is away; wait before it is tried again."""
        if self._failures == 0:
            _log.warning("%s; waiting", error)
        first, most = _AWAY_SECONDS
        self._ending.wait(min(most, first * 2**self._failures))
        self._failures = min(self._failures + 1, 10)

    def succeeded(self) -> None:
        """It is there."""
        if self._failures:
            _log.warning("going on")
        self._failures = 0
