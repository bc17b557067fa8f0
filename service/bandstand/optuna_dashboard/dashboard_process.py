"""Optuna Dashboard in a process of its own, for the server, on a socket that only the server's user can open.

Its imports alone take 165 MB and 4 s, it loads all trials of a study at every look, and fits forests to them for its
importances: in the server it would hold up everybody else. The process ends when it is not asked for a while, when it
has grown, or when whoever started it is gone, which it knows by the end of its standard input.

Run as `python -m bandstand.optuna_dashboard.dashboard_process SOCKET`, with BANDSTAND_DATABASE_URL in the environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from bandstand.locations import database_url
from bandstand.store.optuna_mirror import open_storage

__all__ = ["main"]

IDLE_SECONDS = 600.0
LARGEST_BYTES = 1_000_000_000
_WATCH_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
"""That requests under way may take when the process is to end."""
_THREADS = 8
"""As many as the server asks at once."""


class _Dashboard:
    """The dashboard's application, and when somebody last asked it."""

    def __init__(self, application: Callable[..., Iterable[bytes]]):
        self._application = application
        self.asked_at = time.monotonic()

    def __call__(self, environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, as WSGI has it."""
        self.asked_at = time.monotonic()
        return self._application(environment, start_response)


def main(path: str) -> None:
    """Serve on a socket until there is a reason to end."""
    import optuna_dashboard
    import waitress

    dashboard = _Dashboard(optuna_dashboard.wsgi(open_storage(database_url() or "")))
    server = waitress.create_server(dashboard, unix_socket=path, unix_socket_perms="600", threads=_THREADS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # which ends `run`
    threading.Thread(target=_end_with_starter, args=(path,), daemon=True).start()
    threading.Thread(target=_end_in_time, args=(server, dashboard), daemon=True).start()
    print("ready", flush=True)
    server.run()
    shutil.rmtree(Path(path).parent, ignore_errors=True)


def _end_with_starter(path: str) -> None:
    while os.read(0, 4096):  # not by `sys.stdin`, whose lock would be held when the process ends by itself
        pass
    shutil.rmtree(Path(path).parent, ignore_errors=True)
    os._exit(0)  # nobody waits for what it is doing


def _end_in_time(server: Any, dashboard: _Dashboard) -> None:
    process = psutil.Process()
    while time.monotonic() - dashboard.asked_at < IDLE_SECONDS and process.memory_info().rss < LARGEST_BYTES:
        time.sleep(_WATCH_SECONDS)
    deadline = time.monotonic() + _ANSWER_SECONDS
    while server.active_channels and time.monotonic() < deadline:  # a request each: the server keeps no connection
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
