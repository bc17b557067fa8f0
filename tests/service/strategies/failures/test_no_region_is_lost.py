"""Whatever has failed, any point that a sampler may propose keeps a twentieth of its chance, or more."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bandstand.search.search import Search
from bandstand.strategies.failures.avoidance import FLOOR, FailureAvoidance, tolerance
from bandstand.strategies.points.fractions import ALMOST_ONE
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Ended, Measured, Proposed, TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS
from bandstand.trials.history import Trial
from bandstand_spaces import SearchSpace
from tests.service.strategies.failures.test_failure_avoidance import failures, proposals, run, spec_of

SPACE = {
    "units": {"type": "int", "low": 8, "high": 8192, "log": True},
    "rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "optimizer": {
        "type": "categorical",
        "choices": ["adam", "sgd"],
        "when": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 0.99}}},
    },
}
FRACTIONS = st.lists(st.floats(0, ALMOST_ONE), min_size=4, max_size=4)
OUTCOMES = st.lists(st.tuples(FRACTIONS, st.sampled_from([*FAILURE_KINDS, None])), max_size=25)
EVERYTHING_FAILED = [([place / 25, 0.5, 0.2, 0.5], "out_of_memory") for place in range(25)]


def params_at(space: SearchSpace, fractions: list[float]) -> dict[str, Any]:
    left = iter(fractions)
    return space.params_by(lambda name, parameter: parameter.value_at(next(left)))


def after(spec: StudySpec, outcomes: list[tuple[list[float], str | None]]) -> FailureAvoidance:
    """What looks at proposals once these trials have ended; None has trained."""
    avoidance = FailureAvoidance(spec)
    for number, (fractions, kind) in enumerate(outcomes):
        params = params_at(spec.space, fractions)
        trial = Trial(number=number, params=params, bracket=0, granted=2)
        avoidance.observe(Proposed(trial=number, params=params, granted=2), trial)
        if kind is None:
            trial.values.append(1.0)
            avoidance.observe(Measured(trial=number, attempt=1, epoch=1, value=1.0), trial)
        else:
            avoidance.observe(Ended(trial=number, attempt=1, state=TrialState.FAILED, reason=kind), trial)
    return avoidance


@settings(deadline=None, max_examples=60)
@given(outcomes=OUTCOMES, proposed=FRACTIONS, seed=st.integers(0, 2**31 - 1))
@example(outcomes=EVERYTHING_FAILED, proposed=[0.5, 0.5, 0.2, 0.5], seed=1)
def test_whatever_has_failed_the_same_proposals_are_tried_as_they_are(
    outcomes: list[tuple[list[float], str | None]], proposed: list[float], seed: int
) -> None:
    spec = spec_of(space=SPACE, seed=seed)
    avoidance, again = after(spec, outcomes), after(spec, outcomes)
    params = params_at(spec.space, proposed)
    assert 0.0 <= avoidance.chance(params) <= 1.0
    kept = [number for number in range(1_000) if tolerance(seed, number) > 1]
    assert len(kept) >= 0.4 * FLOOR * 1_000, "fewer come once in a million seeds"
    assert all(avoidance.better(params, number) == params for number in kept[:5])
    for number in range(3):
        changed = avoidance.better(params, number)
        spec.space.check(changed)
        assert avoidance.chance(changed) <= avoidance.chance(params)
        assert changed == again.better(params, number)


def test_a_sampler_proposes_what_it_would_have_proposed_where_the_floor_holds() -> None:
    """Random search has no memory, so its proposals with and without differ only where they were changed."""
    found = [Search(spec_of(avoid_failures=avoids, budget={"trials": 300})) for avoids in (True, False)]
    mine, others = (proposals(run(search, trials=300)) for search in found)
    kept = [number for number in range(300) if tolerance(0, number) > 1]
    assert [mine[number] for number in kept] == [others[number] for number in kept]
    assert any(params["units"] > 256 for params in (mine[number] for number in kept)), "some of them fail"
    assert failures(found[0]) < failures(found[1]) / 2


def test_what_lies_beyond_a_border_is_moved_just_across_it() -> None:
    """The best params may lie beside the border, and the sampler proposes around them."""
    spec = spec_of(space=SPACE)
    seen = [[place / 20, rate / 4, 0.2, 0.5] for place in range(20) for rate in range(4)]
    avoidance = after(spec, [(each, "out_of_memory" if each[0] > 0.5 else None) for each in seen])
    proposed = params_at(spec.space, [0.6, 0.3, 0.2, 0.5])
    changed = [avoidance.better(proposed, number) for number in range(100) if tolerance(0, number) <= 1]
    assert all(params["units"] < proposed["units"] for params in changed)
    moves = [np.log(proposed["units"] / params["units"]) / np.log(8192 / 8) for params in changed]
    assert np.median(moves) < 0.25, "a value drawn anew on the sound side lies 0.35 away"
    assert np.mean([params["rate"] == proposed["rate"] for params in changed]) > 0.5
