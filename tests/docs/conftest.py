"""What pages run in: the commands of this environment, and a database and a home of their own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import pytest

from bandstand.store.store import Store

NOT_PASSED_ON = re.compile(r"(BANDSTAND|RAY|KERAS|PYTEST)_(?!DATA$).*|PYTHONPATH|COLUMNS")


@pytest.fixture(scope="session")
def environment_for(request: pytest.FixtureRequest) -> Callable[[Path], Mapping[str, str]]:
    """The variables of a page in a folder. Its database is a new one in the session's PostgreSQL."""

    def environment(folder: Path) -> Mapping[str, str]:
        store: Store = request.getfixturevalue("store")
        with psycopg.connect(store.database.url, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'page%'").fetchone()
            name = f"page{row[0] if row else 0}"
            connection.execute(f"CREATE DATABASE {name}".encode())
        kept = {name: value for name, value in os.environ.items() if not NOT_PASSED_ON.fullmatch(name)}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
            "BANDSTAND_HOME": str(folder / "home"),
            "BANDSTAND_DATABASE_URL": store.database.url.replace("/bandstand?", f"/{name}?"),
            "XDG_CONFIG_HOME": str(folder / "settings"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    return environment
