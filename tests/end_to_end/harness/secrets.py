"""Where planted secrets are looked for: files, a database's rows, command lines."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil
import sqlalchemy as sa

from bandstand.store.store import Store


def files_with(secrets: Sequence[str], folders: Iterable[Path]) -> tuple[list[str], int]:
    """Files that hold one of the secrets, or have it in their path; and how many files were read."""
    found, read = [], 0
    planted = [secret.encode() for secret in secrets]
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in names:
                path = Path(where, name)
                try:
                    if not stat.S_ISREG(path.lstat().st_mode):
                        continue
                    content = path.read_bytes()
                except FileNotFoundError:
                    continue  # it has just been removed
                read += 1
                if any(secret in content or secret in os.fsencode(path) for secret in planted):
                    found.append(str(path))
    return found, read


def tables_with(secrets: Sequence[str], store: Store) -> tuple[list[str], int]:
    """Tables of which a row holds one of the secrets, and how many tables were read; Optuna's are among them."""
    found, read = [], 0
    with store.database.reading() as connection:
        names = connection.execute(
            sa.text(
                "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
            )
        ).scalars()
        for name in list(names):
            read += 1
            for secret in secrets:
                query = sa.text(f"SELECT count(*) FROM {name} AS row WHERE position(:secret IN row::text) > 0")
                if connection.execute(query, {"secret": secret}).scalar_one():
                    found.append(name)
    return found, read


def command_lines_with(secrets: Sequence[str]) -> list[str]:
    """Command lines of all processes of the machine that hold one of the secrets."""
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(secret in line for secret in secrets)]
