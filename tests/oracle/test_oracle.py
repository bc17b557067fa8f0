"""Random programs train as trials as by plain `fit`; and where Bandstand is broken on purpose, the oracle says so.

A seeded few; `make oracle` runs hundreds.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.oracle.candidate import TrialState, train_pieces
from tests.oracle.draw import Draw
from tests.oracle.process import write_source
from tests.oracle.programs import Program, make_program
from tests.oracle.reference import train_program
from tests.oracle.run import Verdict, judge, judge_programs
from tests.oracle.schedules import make_schedule

SEED = 1
FEW = (0, 1, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the programs' modules are; they can be imported while the tests of this file run."""
    policy, place = keras.config.dtype_policy(), tmp_path_factory.mktemp("oracle")
    sys.path.insert(0, str(place))
    yield place
    sys.path.remove(str(place))
    for name in [name for name in sys.modules if name.startswith("oracle_user_")]:
        del sys.modules[name]
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="module")
def few(folder: Path) -> list[tuple[Program, list[Any]]]:
    """Programs with what plain Keras makes of them."""
    programs = [make_program(SEED, number, "tensorflow") for number in FEW]
    for program in programs:
        write_source(program, folder)
    importlib.invalidate_caches()
    return [(program, train_program(program)) for program in programs]


def judged(program: Program, expected: list[Any], folder: Path) -> Verdict:
    """The verdict on a program whose trials this process trains; another training stands for the other process."""
    schedule = make_schedule(SEED, program)
    states = {piece.trial.number: TrialState() for piece in schedule}
    for place in (0, 1):
        pieces = [piece for piece in schedule if piece.place == place]
        train_pieces(program, pieces, states, folder, None)
    return judge(program, schedule, expected, {number: state.result for number, state in states.items()})


def test_a_few_random_programs_train_as_by_fit(few: Any, folder: Path, tmp_path: Path) -> None:
    verdicts = [judged(*each, tmp_path) for each in few]
    assert [verdict.failures for verdict in verdicts] == [[]] * len(few)
    assert not any(verdict.invalid for verdict in verdicts)
    assert sum(verdict.compiled for verdict in verdicts) >= 4, "what compiled programs train is what is in doubt"


def _ignores_params(signature_of: Any) -> Any:
    return lambda model, slots, sizes, made_by: ("the only one", False)


def _keeps_the_weights(renew: Any) -> Any:
    return lambda kept, fresh, constants: kept.renew_optimizer(constants)


def _forgets(restore: Any) -> Any:
    return lambda checkpoint, model, callbacks: None


@pytest.mark.parametrize(
    ("place", "broken"),
    [
        ("bandstand_workers.training.model_source.signature_of", _ignores_params),
        ("bandstand_workers.programs.kept.KeptModel.renew", _keeps_the_weights),
        ("bandstand_workers.training.model_state.restore", _forgets),
    ],
    ids=["a signature that ignores params", "a lent model that keeps its weights", "a trial that resumes from nothing"],
)
def test_what_is_broken_on_purpose_is_found(
    place: str, broken: Callable[[Any], Any], few: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, name = place.rpartition(".")
    owner = getattr(importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2])
    monkeypatch.setattr(owner, name, broken(getattr(owner, name)))
    assert any(judged(*each, tmp_path).failures for each in few)


def test_the_same_number_is_the_same_program_whichever_knobs_are_params() -> None:
    assert make_program(3, 7, "tensorflow") == make_program(3, 7, "tensorflow")
    assert make_program(3, 7, "tensorflow").source != make_program(3, 8, "tensorflow").source
    fixed, free = Draw(3, 7, "tensorflow", frozenset()), Draw(3, 7, "tensorflow", frozenset([0]))
    assert [fixed.knob("a", 1, 2), free.knob("a", 1, 2)] == [repr(fixed.knobs[0].value), 'params["a_0"]']
    assert fixed.number() == free.number()


def test_every_feature_comes_up_ten_times_in_500_programs() -> None:
    for backend in ("tensorflow", "jax"):
        counts: dict[str, int] = {}
        for number in range(500):
            for feature in make_program(0, number, backend).features:
                counts[feature] = counts.get(feature, 0) + 1
        rare = {name: count for name, count in counts.items() if count < 10 and not name.startswith("param: ")}
        assert rare == {}
        assert len(counts) > 150


def test_a_few_random_programs_train_as_by_fit_on_jax() -> None:
    verdicts = list(judge_programs(SEED, FEW, "jax"))
    assert [verdict.failures for verdict in verdicts] == [[]] * len(FEW)
    assert not any(verdict.invalid for verdict in verdicts)
