"""A real server on the loopback interface, on a real PostgreSQL, and clients of each role."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandstand.client import Client
from bandstand.problem.budget import Budget
from bandstand.store import tables
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Float, SearchSpace
from tests.service.client.servers import LoopbackServer

NAMES = (f"asked for/{number}" for number in itertools.count())
SpecMaker = Callable[..., StudySpec]
ClientMaker = Callable[..., Client]


@pytest.fixture(autouse=True)
def no_login(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody is logged in, and nobody will be after the test."""
    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    for name in ("BANDSTAND_URL", "BANDSTAND_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="package")
def server(store: Store) -> Iterator[LoopbackServer]:
    server = LoopbackServer(store, requests_per_second=10_000)
    server.start()
    yield server
    server.stop()
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.delete(tables.submission))
        connection.execute(sa.delete(tables.server))


@pytest.fixture
def token_of(store: Store) -> Callable[..., str]:
    def make(user: str = "ada", role: Role = Role.SUBMITTER) -> str:
        return store.accounts.create_token(user, role, days=1).text

    return make


@pytest.fixture
def client_of(server: LoopbackServer, token_of: Callable[..., str]) -> Iterator[ClientMaker]:
    """Makes a client with a token of this user and role."""
    clients: list[Client] = []

    def make(user: str = "ada", role: Role = Role.SUBMITTER) -> Client:
        clients.append(Client(server.url, token=token_of(user, role)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(client_of: ClientMaker) -> Client:
    return client_of()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text("def build(params): ...\n\n\ndef load(): ...\n")
    return folder


@pytest.fixture
def spec() -> SpecMaker:
    """Makes a study that none of the tests has made."""

    def make(**changes: object) -> StudySpec:
        settings = {
            "name": next(NAMES),
            "model": "train:build",
            "data": "train:load",
            "space": SearchSpace({"rate": Float(0.1, 1.0)}),
            "max_epochs": 4,
            "budget": Budget(epochs=30),
        }
        return StudySpec.model_validate(settings | changes)

    return make
