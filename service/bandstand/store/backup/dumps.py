"""A dump of the whole database in one file, and the way back.

Knows `pg_dump`, `pg_restore` and `psql`. Must not know the command line, nor the files of studies (`files`).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import InputError, StudyInUseError
from bandstand.store import connecting, tables
from bandstand.store.backup.programs import find_program, newest_program, run_program

__all__ = ["dump_database", "restore_database", "written_file"]

_MAGIC = b"PGDMP"
_OURS = (tables.study, tables.comparison, tables.submission, tables.token)
"""Tables of which one row makes a database worth keeping."""
_SERVER_SECONDS = 60


def dump_database(url: str, file: Path, *, overwrite: bool = False) -> None:
    """Write everything in a database into a file that nobody else may read.

    All of it is of one moment, whatever runs meanwhile. The file is there when it is complete.

    Args:
        url: of the database; a secret.
        file: as `pg_dump --format=custom` writes it.
        overwrite: whether a file that is there is replaced.

    Raises:
        InputError: the file is there, or no program fits the server.
        ServiceError: the program fails.
    """
    with _connected(url) as connection:
        server = _server_version(connection)
    program = find_program("pg_dump", server)
    with written_file(file, overwrite=overwrite) as written:
        run_program([str(program), "--format=custom"], url, target=written)


def restore_database(url: str, file: Path, *, overwrite: bool = False) -> str | None:
    """Bring a database back to what a file of `dump_database` says, all or nothing.

    Args:
        url: of the database; a secret.
        file: the dump.
        overwrite: whether what is in the database may be lost.

    Returns:
        The revision of the schema that it has now.

    Raises:
        InputError: the file is no dump of such a database, or the database is not empty.
        StudyInUseError: somebody works on it.
        ServiceError: a program fails; the database is as it was.
    """
    made_by = _version_of_dump(file)
    with _connected(url) as connection:
        server = _server_version(connection)
        _refuse_if_used(connection)
        if not overwrite and (there := _content(connection)):
            raise InputError(
                f"a database must be empty to be restored; {connecting.describe(url)} has {there}: back it up, then "
                "give --overwrite"
            )
    restore = find_program("pg_restore", made_by)
    _check_content(restore, file)
    psql = find_program("psql", server)
    with tempfile.TemporaryFile() as script:
        script.write(f"DROP SCHEMA IF EXISTS {tables.SCHEMA} CASCADE;\n".encode())
        script.flush()
        # What the dump has not, because it is of an older release, must not stay.
        _make_script(restore, file, script)
        script.seek(0)
        options = ["--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        run_program([str(psql), *options], url, source=script)
    with _connected(url) as connection:
        return connecting.revision_of(connection)


@contextmanager
def written_file(file: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """A file with mode 0600 that is in its place when it is complete, and only then.

    Raises:
        InputError: it is there already, it is no regular file, or its folder is not there.
    """
    if not file.parent.is_dir():
        raise InputError(f"the folder of the file must exist; {file.parent} does not: make it, or choose another one")
    if file.exists() and not file.is_file():
        raise InputError(f"a backup must be a regular file; {file} is a folder or a device: give another name")
    if file.exists() and not overwrite:
        raise InputError(f"{file} must not exist; it does: give another name, or --overwrite")
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as written:
            yield written
            written.flush()
            os.fsync(written.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = connecting.connect(url, any_schema=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _check_content(restore: Path, file: Path) -> None:
    """Refuse a dump that has no tables of ours, before anything of the database goes.

    Raises:
        InputError: it has none.
    """
    listed = subprocess.run([str(restore), "--list", str(file)], capture_output=True, text=True, check=False)
    made = [line for line in listed.stdout.splitlines() if " TABLE " in line]  # none in one of an empty database
    wanted = f" TABLE {tables.SCHEMA} {tables.study.name} "
    if made and not any(wanted in line for line in made):
        raise InputError(
            f"a backup must hold Bandstand's tables; {file} has none of them: give a file that `bandstand db backup` "
            "wrote"
        )


def _server_version(connection: Connection) -> int:
    return int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // 10_000


def _refuse_if_used(connection: Connection) -> None:
    locks = sa.text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :lease AND granted AND "
        "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    if studies := connection.execute(locks, {"lease": tables.LEASE_CLASS}).scalar_one():
        raise StudyInUseError(f"no study may run while a database is restored; {studies} run: stop them first")
    if not sa.inspect(connection).has_table("server", schema=tables.SCHEMA):
        return
    beat = tables.server.c.heartbeat_at
    silent = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, _SERVER_SECONDS)
    if servers := connection.execute(sa.select(sa.func.count()).where(beat > silent)).scalar_one():
        raise StudyInUseError(
            f"no server may run while a database is restored; {servers} said less than {_SERVER_SECONDS} s ago that "
            "it lives: stop it, and wait a minute"
        )


def _content(connection: Connection) -> str | None:
    """What would be lost, in words; None where nothing would."""
    inspected = sa.inspect(connection)
    for table in _OURS:
        if not inspected.has_table(table.name, schema=tables.SCHEMA):
            continue
        if count := connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one():
            return f"{count} {table.name if count == 1 else _plural(table.name)}"
    if inspected.has_table("studies") and connection.execute(sa.text("SELECT count(*) FROM studies")).scalar_one():
        return "studies of Optuna"
    if inspected.has_table("alembic_version", schema=tables.SCHEMA):
        return None  # Optuna's tables stand beside ours, and are as empty
    others = inspected.get_table_names()
    return f"the table {min(others)!r}" if others else None


def _plural(word: str) -> str:
    return "studies" if word == "study" else f"{word}s"


def _version_of_dump(file: Path) -> int:
    """The major version of the program that made a dump: an older one may not read it."""
    try:
        with file.open("rb") as opened:
            head = opened.read(len(_MAGIC))
    except OSError as error:
        raise InputError(f"the file of the backup must be readable; {file} is not: {error.strerror}") from None
    if head != _MAGIC:
        raise InputError(
            f"the file must be one that `bandstand db backup` or `pg_dump --format=custom` made; {file} is another"
        )
    newest = newest_program("pg_restore")
    done = subprocess.run([str(newest), "--list", str(file)], capture_output=True, text=True, check=False)
    found = re.search(r"Dumped by pg_dump version: (\d+)", done.stdout)
    if done.returncode or found is None:
        raise InputError(f"{file} is damaged, or made by a newer pg_dump than this machine has: copy it again")
    return int(found[1])


def _make_script(program: Path, file: Path, script: IO[bytes]) -> None:
    command = [str(program), "--clean", "--if-exists", "--no-owner", "--no-privileges", "--file=-", str(file)]
    done = subprocess.run(command, stdout=script, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise InputError(f"{file} cannot be read to its end: copy it again from where the backup is kept")
