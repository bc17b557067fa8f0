"""Optuna Dashboard in a process of its own, for the server, on a socket that only the server's user can open.

Its imports alone take 165 MB and 4 s, it loads all trials of a study at every look, and fits forests to them for its
importances: in the server it would hold up everybody else. The process ends when it is not asked for a while, when it
has grown, or when whoever started it is gone, which it knows by the end of its standard input.

Run as `python -m bandstand.optuna_tables.dashboard_process SOCKET`, with BANDSTAND_DATABASE_URL in the environment.
"""

from __future__ import annotations

import os
import shutil
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

import psutil

from bandstand.optuna_tables.optuna_mirror import open_storage
from bandstand.settings import database_url

__all__ = ["main"]

IDLE_SECONDS = 600.0
LARGEST_BYTES = 1_000_000_000
_WATCH_SECONDS = 5.0


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers each request in a thread; at its end it waits for those."""

    request_queue_size = 64
    server_name, server_port = "localhost", 0
    asked_at = time.monotonic()

    def __init__(self, path: str, application: Callable[..., Iterable[bytes]]):
        super().__init__(path, _Handler)
        self.application = application
        self.base_environ = {
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "0",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_HOST": "",
            "CONTENT_LENGTH": "",
            "SCRIPT_NAME": "",
        }

    def get_app(self) -> Callable[..., Iterable[bytes]]:
        """As wsgiref's handler asks for it."""
        return self.application

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note when somebody last asked."""
        self.asked_at = time.monotonic()
        super().process_request(request, client_address)


class _Handler(WSGIRequestHandler):
    def setup(self) -> None:
        """A peer on such a socket has no address."""
        self.client_address = ("server", 0)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        """A line for each of the page's polls would bury everything else."""


def main(path: str) -> None:
    """Serve on a socket until there is a reason to end."""
    import optuna_dashboard

    server = _Server(path, optuna_dashboard.wsgi(open_storage(database_url() or "")))
    Path(path).chmod(0o600)
    threading.Thread(target=_end_with_starter, args=(server,), daemon=True).start()
    threading.Thread(target=_end_in_time, args=(server,), daemon=True).start()
    print("ready", flush=True)
    with server:
        server.serve_forever()
    shutil.rmtree(Path(path).parent, ignore_errors=True)


def _end_with_starter(server: _Server) -> None:
    sys.stdin.buffer.read()
    shutil.rmtree(Path(str(server.server_address)).parent, ignore_errors=True)
    os._exit(0)  # nobody waits for what it is doing


def _end_in_time(server: _Server) -> None:
    process = psutil.Process()
    while time.monotonic() - server.asked_at < IDLE_SECONDS and process.memory_info().rss < LARGEST_BYTES:
        time.sleep(_WATCH_SECONDS)
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
