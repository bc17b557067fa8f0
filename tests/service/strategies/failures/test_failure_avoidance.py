"""After three failures of a kind, params that are likely to fail are drawn again, for any sampler; never before."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.strategies import SAMPLERS
from bandstand.strategies.failures.avoidance import avoidance_for
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Event, Proposed, TrialState
from tests.service.search.harness.stored_events import through_the_rows

SPACE = {
    "units": {"type": "int", "low": 8, "high": 8192, "log": True},
    "rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
}
MODEL_FREE_AND_OTHERS = [name for name in SAMPLERS if name != "grid"]


def spec_of(**changes: Any) -> StudySpec:
    settings = {
        "name": "failing", "model": "a:b", "data": "a:c", "space": SPACE, "sampler": "random", "pruner": "none",
        "max_epochs": 2, "budget": {"trials": 60},
    }  # fmt: skip
    return StudySpec.model_validate({**settings, **changes})


def too_large(params: dict[str, Any]) -> bool:
    return params["units"] > 256


def run(search: Search, fails: Any = too_large, kind: str = "out_of_memory", trials: int = 60) -> list[Event]:
    """Train with one worker; the events."""
    events: list[Event] = []
    for _ in range(trials):
        assignment = search.next()
        if assignment is None:
            break
        trial, attempt, params = assignment.trial, assignment.attempt, assignment.params
        if fails(params):
            search.fail(trial, attempt, kind, "too large", signature=kind)
        else:
            value = abs(np.log(params["rate"]) + 5)
            for epoch in (1, 2):
                search.report(trial, attempt, Measurement(epoch=epoch, metrics={"val_loss": value / epoch}))
            search.finish(trial, attempt)
        events += search.take_events()
    return events


def failures(search: Search) -> int:
    return sum(trial.state is TrialState.FAILED for trial in search.history.trials)


@pytest.mark.parametrize("sampler", MODEL_FREE_AND_OTHERS)
def test_every_sampler_proposes_less_of_what_fails(sampler: str) -> None:
    found = {True: 0, False: 0}
    for avoids in (True, False):
        for seed in range(2):
            search = Search(spec_of(sampler=sampler, avoid_failures=avoids, seed=seed))
            run(search)
            found[avoids] += failures(search)
            assert len(search.history.trials) == 60
    # Some samplers take what failed for the worst there is, and learn by themselves.
    assert found[True] < max(found[False], 20), found
    if sampler in ("random", "qmc"):
        assert found[True] <= found[False] / 2, found


def proposals(events: list[Event]) -> list[dict[str, Any]]:
    return [dict(event.params) for event in events if isinstance(event, Proposed)]


@pytest.mark.parametrize("sampler", ["random", "umda", "tpe"])
def test_a_study_with_two_failures_decides_as_one_that_does_not_learn_from_them(sampler: str) -> None:
    made = []
    for avoids in (True, False):
        count = iter(range(100))
        search = Search(spec_of(sampler=sampler, avoid_failures=avoids))
        made.append(proposals(run(search, lambda params, count=count: next(count) in (3, 9), trials=30)))
    assert made[0] == made[1]


@pytest.mark.parametrize("sampler", ["random", "umda", "tpe"])
def test_a_restored_search_decides_as_the_lost_one(sampler: str) -> None:
    spec = spec_of(sampler=sampler)
    whole = Search(spec)
    expected = proposals(run(whole, trials=40))
    lost = Search(spec)
    events = run(lost, trials=25)
    restored = Search.restore(spec, through_the_rows(spec, events))
    assert proposals([*events, *run(restored, trials=15)]) == expected


def test_studies_from_before_the_setting_are_left_as_they_were() -> None:
    assert avoidance_for(spec_of(avoid_failures=None)) is None
    assert spec_of().differences(spec_of(avoid_failures=None)) == []
    assert spec_of().differences(spec_of(avoid_failures=False)) != []


def test_what_users_enqueue_is_tried_though_it_fails() -> None:
    search = Search(spec_of())
    run(search, trials=30)
    params = {"units": 8192, "rate": 0.1, "optimizer": "adam"}
    search.requests.enqueue(1, params, None)
    assignment = search.next()
    assert assignment is not None
    assert dict(assignment.params) == params


def test_a_grid_visits_every_point_whatever_failed() -> None:
    space = {"units": {"type": "categorical", "choices": [8, 64, 512, 4096]}} | {"rate": SPACE["rate"] | {"log": True}}
    space["rate"] = {"type": "categorical", "choices": [0.1, 0.01, 0.001, 0.0001]}
    search = Search(spec_of(sampler="grid", space=space, budget={}))
    events = run(search, lambda params: params["units"] > 100)
    assert len(proposals(events)) == len({tuple(each.values()) for each in proposals(events)}) == 16


def test_the_study_says_once_that_it_learns_from_failures() -> None:
    search = Search(spec_of())
    run(search)
    notes = [notice for notice in search.history.notices if "avoid_failures" in notice]
    assert notes == [
        "3 trials failed in the same way (out of memory). From now on, params that are likely to fail so are drawn "
        "again (avoid_failures). To fail less often, search smaller models or batches, or raise resources.memory_gb if "
        "the machine has more"
    ]
    without = Search(spec_of(avoid_failures=False))
    run(without)
    assert not without.history.notices


def test_a_choice_that_diverges_is_avoided_and_where_the_others_are_is_not() -> None:
    search = Search(spec_of(budget={"trials": 120}))
    run(search, lambda params: params["optimizer"] == "sgd", "diverged", trials=120)
    late = search.history.trials[40:]
    assert sum(trial.params["optimizer"] == "sgd" for trial in late) < 0.2 * len(late)


def test_a_region_that_the_model_is_wrong_about_is_won_back() -> None:
    """The first failures were bad luck: the machine was full."""
    search = Search(spec_of(budget={"trials": 200}))
    count = iter(range(1000))
    run(search, lambda params: too_large(params) and next(count) < 5, trials=200)
    late = [too_large(dict(trial.params)) for trial in search.history.trials[100:]]
    assert np.mean(late) > 0.25, "half of random params are that large"


def test_where_everything_has_failed_proposals_go_on() -> None:
    search = Search(spec_of(budget={"trials": 9}))
    events = run(search, lambda params: True, "diverged", trials=9)
    assert len(proposals(events)) == 9


def test_a_loss_that_is_not_finite_counts_as_diverged() -> None:
    search = Search(spec_of())
    for _ in range(3):
        assignment = search.next()
        assert assignment is not None
        search.report(assignment.trial, 1, Measurement(epoch=1, metrics={"val_loss": nan}))
        search.finish(assignment.trial, 1)
    assert any("not finite (NaN)" in notice for notice in search.history.notices)
