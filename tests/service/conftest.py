"""The sole writer's storage for the tests, on a database of its own, and the command line."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest

from bandstand.commands.cli import main
from bandstand.optuna_storage import SoleWriterStorage
from bandstand.store.store import Store
from tests.service.commands import Bandstand, Said
from tests.service.optuna_database import make_database, truncate


@pytest.fixture(scope="session")
def database(store: Store) -> str:
    return make_database(store, "sole_writer")


@pytest.fixture
def storage(database: str) -> Iterator[SoleWriterStorage]:
    """On tables without a row, as Optuna's suite wants them."""
    truncate(database)
    storage = SoleWriterStorage(database)
    yield storage
    storage.close()


@pytest.fixture
def bandstand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bandstand:
    """Runs `bandstand` with these arguments."""

    def run(*arguments: str, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["bandstand", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capsys.readouterr())

    return run
