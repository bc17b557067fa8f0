"""The server's dispatcher: a process beside it, started again whenever it ends by itself.

Knows processes. Must not know what a dispatcher does.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from bandstand.running.child_death import ending_of

__all__ = ["DispatcherProcess"]

_AGAIN_SECONDS = (1.0, 60.0)
"""After it has ended, doubled each time that it has not lived for the longer of them; and the most."""
_END_SECONDS = 60.0
_log = logging.getLogger(__name__)


class DispatcherProcess:
    """`python -m bandstand_workers dispatch`, kept alive. It ends when this process does, whatever way that is."""

    def __init__(self, database_url: str, arguments: Sequence[str]):
        """Nothing is started yet.

        Args:
            database_url: a secret, which travels by environment.
            arguments: of the command.
        """
        self._command = [sys.executable, "-P", "-m", "bandstand_workers", "dispatch", *arguments]
        self._environment = os.environ | {"BANDSTAND_DATABASE_URL": database_url}
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def start(self) -> None:
        """Start it, and keep it alive from now on."""
        self._thread.start()

    def end(self) -> None:
        """Have it sign off and end; kill it if it takes too long."""
        with self._starting:
            self._ending.set()
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # it takes this as the end of its server
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep_alive(self) -> None:
        shortest, longest = _AGAIN_SECONDS
        pause = shortest
        while True:
            began = time.monotonic()
            with self._starting:
                if self._ending.is_set():
                    return
                # In a session of its own: Ctrl-C is for the server, which ends it in an orderly way.
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, env=self._environment, start_new_session=True
                )
            code = self._process.wait()
            if self._ending.is_set():
                return
            pause = shortest if time.monotonic() - began > longest else pause
            _log.warning("the dispatcher %s; another one starts in %.0f s", ending_of(code), pause)
            self._ending.wait(pause)
            pause = min(longest, pause * 2)
