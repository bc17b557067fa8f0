"""Trials that wait so that workers may choose among them."""

import pytest

from bandstand.search.search import Search
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES
from bandstand.trials.events import Action
from tests.service.search.harness.desk import Desk
from tests.service.search.harness.pairs import settings_for
from tests.service.search.harness.stored_events import through_the_rows

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
def test_a_new_trial_is_proposed_ahead_unless_its_bracket_is_learned_from_values(spec_with, pruner):
    search = Search(spec_with(pruner=pruner, budget={"trials": 9}))
    search.look_ahead(4)
    assert len(search.history.waiting) == (0 if pruner == "successive-halving" else 4)


@pytest.mark.parametrize("pruner", ["asha", "asha-promote"])
def test_where_the_first_rung_is_learned_nothing_is_proposed_ahead(spec_with, pruner):
    search = Search(spec_with(pruner=pruner, pruner_options={"min_epochs": "auto"}, budget={"trials": 9}))
    search.look_ahead(4)
    assert not search.history.trials


@pytest.mark.parametrize("budget", [{"trials": 30}, {"epochs": 300}], ids=str)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("pruner", ["asha-promote", "hyperband"])
def test_promotions_overtake_what_was_proposed_ahead(spec_with, pruner, workers, budget):
    """So that a study goes as it would have gone."""
    spec = spec_with(pruner=pruner, max_epochs=27, budget=budget)
    ahead, step_by_step = (given_out(spec, workers, number) for number in (4, 0))
    assert len(ahead) > 30
    assert any(epoch for _, epoch, _ in ahead)
    assert ahead == step_by_step
    assert ahead == given_out(spec, workers, 4, rebuilt=True)


def given_out(spec, workers, number, rebuilt=False):
    """(trial, from epoch, until epoch) of each assignment, with `number` trials that wait, the workers taking turns.

    `rebuilt`: the search is restored from its events each time.
    """
    desk, given, busy, events = Desk(Search(spec)), [], [], []
    while True:
        if rebuilt:
            events += desk.search.take_events()
            desk = Desk(Search.restore(spec, through_the_rows(spec, events)))
        while len(busy) < workers:
            desk.search.look_ahead(number)
            assignment = desk.search.next()
            if assignment is None:
                break
            given.append((assignment.trial, assignment.from_epoch, assignment.until_epoch))
            busy.append(assignment)
        if not busy:
            assert desk.search.conclude() is not None
            return given
        assignment = busy.pop(0)
        trial, value = assignment.trial, 1 / (1 + (assignment.trial * 7) % 13)
        for epoch in range(assignment.from_epoch + 1, spec.max_epochs + 1):
            verdict = desk.report(trial, epoch, value + 1 / epoch)
            if verdict.action is not Action.CONTINUE:
                break
        desk.hand_back(trial, verdict.action)


def test_what_a_user_wants_tried_and_a_lost_trial_go_before_what_was_proposed_ahead(spec_with):
    desk = Desk(Search(spec_with()))
    desk.search.look_ahead(4)
    desk.start(2)
    desk.lose(1)
    params = {"rate": 0.5, "optimizer": "adam"}
    desk.search.requests.enqueue(1, params, "ada")
    assert desk.search.next().trial == 1
    assert desk.search.next().params == params
    assert desk.search.next(preferred={3}).trial == 3


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
    assert desk.search.conclude().reason == "the budget is used up"
    assert [trial.epochs for trial in desk.trials] == [1] * 6
