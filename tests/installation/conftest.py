"""What the commands of the base package are tried on, hidden extras or an empty environment: a study, and a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bandstand.store.store import Store
from tests.service.client.servers import LoopbackServer
from tests.service.store.written_study import make_spec, train


@pytest.fixture(scope="session")
def finished(store: Store) -> str:
    """The name of a study that has ended."""
    spec = make_spec(name="of the base package")
    train(store, spec, 3, end=True)
    return spec.name


@pytest.fixture(scope="session")
def server(store: Store) -> Iterator[LoopbackServer]:
    server = LoopbackServer(store)
    server.start()
    yield server
    server.stop()
