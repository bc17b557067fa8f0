"""What all tests share: a home of their own, with an embedded PostgreSQL that ends with the session."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from optuna.storages import RDBStorage

from bandstand.store.store import Store
from tests.postgres_server import PasswordServer, embedded_programs

if TYPE_CHECKING:
    from tests.trace_collector import Collector

ROOT = Path(__file__).parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it runs in the background ignore Ctrl-C; so would the commands that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class NoSecondCopies:
    """Refuses `service.bandstand` and the like: a second copy of every class, equal to none of the first.

    The root folder is on pytest's path, for `tests`, and makes them importable. A user's own module of such a name is
    let be.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if name in ("service", "workers", "search_spaces"):
            found = PathFinder.find_spec(name, path)
            if found is not None and str(ROOT / name) in (found.submodule_search_locations or ()):
                raise ImportError(f"a package must be imported by its own name; got {name!r}: drop it", name=name)
        return None


sys.meta_path.insert(0, NoSecondCopies)


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
def password_server() -> Iterator[PasswordServer]:
    """A PostgreSQL that asks for passwords."""
    started = PasswordServer(embedded_programs())
    yield started
    started.end()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of traces on this machine."""
    from tests.trace_collector import Collector  # few tests need OpenTelemetry

    with closing(Collector()) as made:
        yield made


@pytest.fixture(autouse=True)
def _connections_of_optuna_are_let_go(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what Optuna's storages of a test keep open: a server takes a hundred connections, and tests are thousands.

    `optuna.load_study(storage=URL)` makes a storage that nobody can close, and whose connections last until Python
    happens to collect it.
    """
    storages: list[RDBStorage] = []
    begin = RDBStorage.__init__

    def begin_and_note(storage: RDBStorage, *arguments: Any, **options: Any) -> None:
        begin(storage, *arguments, **options)
        storages.append(storage)

    monkeypatch.setattr(RDBStorage, "__init__", begin_and_note)
    yield
    for storage in storages:
        storage.engine.dispose()  # whoever uses it again connects again


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is not set."""
    folder = os.environ.get("BANDSTAND_DATA")
    if not folder:
        pytest.skip("BANDSTAND_DATA is not set: no local copies of data sets and learning curves")
    return Path(folder)
