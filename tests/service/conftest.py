"""The sole writer's storage for the tests, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.optuna_storage import SoleWriterStorage
from service.store import Store
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
