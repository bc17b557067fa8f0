"""The server's application for the tests, on a real PostgreSQL, and clients of each role."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bandstand.api import make_app
from bandstand.api.settings import ServerSettings
from bandstand.store import tables
from bandstand.store.accounts import Role
from bandstand.store.store import Store


@pytest.fixture(scope="module", autouse=True)
def empty_queue(store: Store) -> Iterator[None]:
    """What was submitted here is gone for the tests that come after."""
    yield
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.delete(tables.submission))
        connection.execute(sa.delete(tables.server))


@pytest.fixture(scope="session")
def app(store: Store) -> FastAPI:
    return make_app(store, ServerSettings(requests_per_second=10_000, failures_per_minute=100_000))


@pytest.fixture(scope="session")
def client_of(app: FastAPI, store: Store) -> Iterator[Callable[..., TestClient]]:
    """Makes a client with a token of this user and role."""
    clients: list[TestClient] = []

    def make(user: str = "ada", role: Role = Role.SUBMITTER) -> TestClient:
        token = store.accounts.create_token(user, role, days=1)
        client = TestClient(app, headers={"Authorization": f"Bearer {token.text}"}, raise_server_exceptions=False)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def nobody(app: FastAPI) -> Iterator[TestClient]:
    """A client without a token."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
