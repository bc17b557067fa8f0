"""Trials that wait so that workers may choose among them."""

import pytest

from service.search import Search
from service.strategies import PRUNERS, SAMPLERS, STRATEGIES
from tests.service.search.desk import Desk
from tests.service.search.pairs import settings_for

FORESEEABLE = {"grid", "random", "qmc"}


@pytest.mark.parametrize("sampler", sorted(FORESEEABLE))
def test_trials_proposed_ahead_are_those_that_would_have_come_anyway(spec_with, sampler):
    spec = spec_with(sampler=sampler, budget={"trials": 9})
    ahead, step_by_step = Search(spec), Search(spec)
    proposed, expected = [], []
    for _ in range(9):
        ahead.look_ahead(4)
        newest = len(ahead.history.trials) - 1
        proposed.append(ahead.next({newest}))
        expected.append(step_by_step.next())
    assert ahead.next() is step_by_step.next() is None
    assert [assignment.trial for assignment in proposed] != list(range(9))
    by_number = {assignment.trial: (assignment.params, assignment.seed) for assignment in proposed}
    assert by_number == {assignment.trial: (assignment.params, assignment.seed) for assignment in expected}


def test_a_search_restored_from_its_events_has_the_same_trials_waiting(spec_with):
    spec = spec_with(budget={"trials": 9})
    search = Search(spec)
    search.look_ahead(4)
    search.next({2})
    restored = Search.restore(spec, search.take_events())
    restored.look_ahead(4)
    search.look_ahead(4)
    assert list(restored.history.waiting) == list(search.history.waiting) == [0, 1, 3, 4]


@pytest.mark.parametrize("sampler", [name for name in (*SAMPLERS, *STRATEGIES) if name not in FORESEEABLE])
def test_what_learns_from_values_proposes_nothing_ahead(spec_with, sampler):
    search = Search(spec_with(**settings_for(sampler, "" if sampler in STRATEGIES else "none")))
    search.look_ahead(4)
    assert not search.history.trials


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_new_trial_is_proposed_ahead_only_where_no_promotion_can_be_worth_more(spec_with, pruner):
    search = Search(spec_with(pruner=pruner, budget={"trials": 9}))
    search.look_ahead(4)
    promotes = pruner in ("asha-promote", "hyperband", "successive-halving")
    assert len(search.history.waiting) == (0 if promotes else 4)


@pytest.mark.parametrize(
    ("budget", "waiting"),
    [
        ({"trials": 3}, 3),
        ({"epochs": 44}, 0),  # four that wait and one that runs may want 45
        ({"epochs": 48}, 1),
        ({"trials": 9, "wall_seconds": 60}, 0),
        ({"trials": 9, "gpu_hours": 1}, 0),
    ],
)
def test_looking_ahead_books_nothing_that_others_may_need(spec_with, budget, waiting):
    search = Search(spec_with(budget=budget, resources={"gpus": int("gpu_hours" in budget)}))
    search.look_ahead(4)
    assert len(search.history.waiting) == waiting


def test_nothing_is_proposed_ahead_in_a_study_that_stops(spec_with):
    search = Search(spec_with(budget={"trials": 9}))
    search.stop()
    search.look_ahead(4)
    assert not search.history.trials


def test_trials_proposed_ahead_are_all_trained_in_the_end(spec_with):
    desk = Desk(Search(spec_with(budget={"trials": 6}, max_epochs=1)))
    while not desk.search.done:
        desk.search.look_ahead(4)
        if desk.search.next() is None:
            break
        number = next(iter(desk.search.history.running))
        desk.report(number, 1, 0.5)
        desk.finish(number)
    assert desk.search.conclude().reason == "the budget is used"
    assert [trial.epochs for trial in desk.trials] == [1] * 6
