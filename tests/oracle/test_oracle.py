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

from bandstand_workers.programs.reuse.kept_models import KeptModel
from bandstand_workers.training.trial_models import model_source, model_state
from tests.oracle import programs
from tests.oracle.candidate import TrialState, train_pieces
from tests.oracle.process import write_source
from tests.oracle.program_parts.draw import Draw
from tests.oracle.programs import Program, make_program
from tests.oracle.reference import train_program
from tests.oracle.run import Verdict, judge, judge_programs
from tests.oracle.schedules import make_schedule

SEED = 1
FEW = (96, 47)
"""Of programs that cost little, some that pause here and elsewhere, and that compiled programs train. The params of the
first change what a variable holds, those of the second what a trace holds."""
ON_JAX = (5,)


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


def test_a_few_random_programs_train_as_by_fit(few: Any, tmp_path: Path) -> None:
    verdicts = [judged(*each, tmp_path) for each in few]
    assert [verdict.failures for verdict in verdicts] == [[]] * len(few)
    assert not any(verdict.invalid for verdict in verdicts)
    assert sum(verdict.compiled for verdict in verdicts) >= 4, "what compiled programs train is what is in doubt"


def _ignore_params(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model_source, "signature_of", lambda state, sizes: "the only one")
    _check_nothing(patch)


def _keep_weights(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeptModel, "renew", lambda kept, values, constants: kept.renew_late(constants))
    _check_nothing(patch)


def _check_nothing(patch: pytest.MonkeyPatch) -> None:
    """A model is lent without a look at whether its program does what the fresh one's steps do."""
    for name in ("difference_in_validation", "difference_in_steps"):
        patch.setattr(model_source, name, lambda *of: None)


def _resume_from_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model_state, "restore", lambda checkpoint, model, callbacks: None)


@pytest.mark.parametrize(("break_it", "which"), [(_ignore_params, 1), (_keep_weights, 0), (_resume_from_nothing, 0)])
def test_what_is_broken_on_purpose_is_found(
    break_it: Callable[[pytest.MonkeyPatch], None],
    which: int,
    few: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_it(monkeypatch)
    verdict = judged(*few[which], tmp_path)
    assert verdict.failures
    assert "TypeError" not in verdict.failures[0][1].got, "what was put in its place does not fit there"


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
            for feature in make_program(programs.SEED, number, backend).features:
                counts[feature] = counts.get(feature, 0) + 1
        rare = {name: count for name, count in counts.items() if count < 10 and not name.startswith("param: ")}
        assert rare == {}
        assert len(counts) > 150


@pytest.mark.slow
def test_a_few_random_programs_train_as_by_fit_on_jax() -> None:
    verdicts = list(judge_programs(SEED, ON_JAX, "jax"))
    assert [verdict.failures for verdict in verdicts] == [[]] * len(ON_JAX)
    assert not any(verdict.invalid for verdict in verdicts)
