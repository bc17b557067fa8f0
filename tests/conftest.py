"""What all tests share: a home of their own, with an embedded PostgreSQL that ends with the session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandstand.store.store import Store

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it runs in the background ignore Ctrl-C; so would the commands that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BANDSTAND_HOME for the whole session; the environment is set for this process and its children."""
    folder = tmp_path_factory.mktemp("bandstand-home")
    os.environ["BANDSTAND_HOME"] = str(folder)
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("settings"))  # nobody is logged in to a server
    for name in ("BANDSTAND_DATABASE_URL", "BANDSTAND_CHECKPOINTS", "BANDSTAND_TOKEN", "BANDSTAND_URL", "RAY_ADDRESS"):
        os.environ.pop(name, None)
    return folder


@pytest.fixture(scope="session")
def store(home: Path) -> Iterator[Store]:
    """The store in the session's embedded PostgreSQL."""
    store = Store.open()
    yield store
    store.close()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is not set."""
    folder = os.environ.get("BANDSTAND_DATA")
    if not folder:
        pytest.skip("BANDSTAND_DATA is not set: no local copies of data sets and learning curves")
    return Path(folder)
