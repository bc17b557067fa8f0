"""What tests of several folders share: studies and what drives a Search, the command line, the sole writer's storage.

What hypothesis may use, too, is handed out by session fixtures.
"""

import io
import sys
from collections.abc import Iterator

import optuna
import pytest

from bandstand.commands.cli import main
from bandstand.optuna_storage import SoleWriterStorage
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Categorical, Float, Int, SearchSpace
from tests.service.commands.in_process import Bandstand, Said
from tests.service.optuna_storage.optuna_database import make_database, truncate
from tests.service.search.harness.account import Account
from tests.service.search.harness.desk import Desk
from tests.service.search.harness.lockstep import Lockstep
from tests.service.search.harness.stored_events import through_the_rows as _through_the_rows
from tests.service.search.harness.virtual_cluster import VirtualCluster, learning_curve

optuna.logging.set_verbosity(optuna.logging.WARNING)


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


# Finite, so that every sampler takes it, and conditional: 5 * (3 + 1 + 1) = 25 points.
SMALL_SPACE = SearchSpace(
    {
        "rate": Float(0.0, 1.0, step=0.25),
        "optimizer": Categorical(["sgd", "adam", "lion"], branches={"sgd": {"momentum": Int(1, 3)}}),
    }
)


def _spec_with(**changes):
    settings = {
        "name": "mine",
        "model": "train:build",
        "data": "train:load",
        "space": SMALL_SPACE,
        "sampler": "random",
        "pruner": "none",
        "max_epochs": 9,
        "budget": {"epochs": 60},
    }
    chosen = settings | changes
    if chosen["pruner"] in (
        "asha",
        "asha-promote",
        "successive-halving",
    ):  # small examples start at epoch 1, whatever the default is
        chosen["pruner_options"] = {"min_epochs": 1} | chosen.get("pruner_options", {})
    if chosen["pruner"] == "threshold":  # it needs a bound
        chosen["pruner_options"] = {"upper": 1.1} | chosen.get("pruner_options", {})
    if chosen["sampler"].startswith("tune-"):  # no other executor runs it
        chosen = {"executor": "tune"} | chosen
    return StudySpec.model_validate(chosen)


@pytest.fixture(scope="session")
def spec_with():
    return _spec_with


@pytest.fixture(scope="session")
def small_space():
    return SMALL_SPACE


@pytest.fixture(scope="session")
def curve():
    return learning_curve


@pytest.fixture(scope="session")
def through_the_rows():
    return _through_the_rows


@pytest.fixture(scope="session")
def cluster_of():
    return VirtualCluster


@pytest.fixture(scope="session")
def one_epoch_study():
    """The history of a study of a sampler whose trials have one epoch each."""

    def study(sampler, space, curve, *, trials=100, workers=1, **changes):
        settings = {"sampler": sampler, "space": space, "max_epochs": 1, "budget": {"trials": trials}}
        return VirtualCluster(_spec_with(**settings | changes), workers=workers, curve=curve).run().history

    return study


@pytest.fixture(scope="session")
def account_of():
    return Account


@pytest.fixture(scope="session")
def lockstep_of():
    return Lockstep


@pytest.fixture(scope="session")
def desk_with():
    """A desk over a new Search, from changes to the usual spec."""
    return lambda **changes: Desk(Search(_spec_with(**changes)))
