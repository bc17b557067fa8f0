"""Where a decision turns into another one: budgets to the epoch, empty lists, words that are said once."""

import pytest

from bandstand.problem.budget import Budget
from bandstand.search.search import Search
from bandstand.strategies.pruners.asha import ASHAPruner
from bandstand.strategies.pruners.asha_promote import PromotingASHAPruner
from bandstand.strategies.pruners.percentile import PercentilePruner
from bandstand.strategies.pruners.successive_halving import SuccessiveHalvingPruner
from bandstand.strategies.strategy import Promotion, Proposal, Retirement
from bandstand.trials.events import Extended, Noticed, TrialState

POINT = {"rate": 0.25, "optimizer": "adam"}
CHILD = Proposal(params=POINT, parent=0, from_epoch=1)


def paused_trials(desk_with, **changes):
    """Three trials that wait at the first rung, the second of them the best."""
    desk = desk_with(pruner="asha-promote", **changes)
    for value in (0.5, 0.1, 0.9):
        trial = desk.start().trial
        desk.report(trial, 1, value)
        desk.hand_back(trial, desk.trials[trial].action)
    return desk


# -- what is wanted, for whoever directs a study ----------------------------------------------------------------------


def test_nothing_is_wanted_of_a_study_that_is_stopped_or_whose_time_is_up(desk_with):
    stopped, late = desk_with(), desk_with(budget={"wall_seconds": 10.0})
    assert isinstance(stopped.search.allocation.wanted(), Proposal)
    assert isinstance(late.search.allocation.wanted(), Proposal)
    stopped.search.stop()
    late.search.spend(wall_seconds=10.0)
    assert stopped.search.allocation.wanted() is None
    assert late.search.allocation.wanted() is None


def test_with_one_epoch_left_something_is_wanted_and_with_none_nothing_is(desk_with):
    assert isinstance(desk_with(budget={"epochs": 1}).search.allocation.wanted(), Proposal)
    assert isinstance(paused_trials(desk_with, budget={"epochs": 4}).search.allocation.wanted(), Promotion)
    assert paused_trials(desk_with, budget={"epochs": 3}).search.allocation.wanted() is None


# -- what somebody outside decides ------------------------------------------------------------------------------------


def test_a_proposal_from_outside_is_taken_with_one_epoch_left_and_refused_with_none(desk_with):
    assert desk_with(budget={"epochs": 1}).search.allocation.direct(Proposal(params=POINT)) == 0
    assert paused_trials(desk_with, budget={"epochs": 3}).search.allocation.direct(Proposal(params=POINT)) is None
    assert paused_trials(desk_with, budget={"epochs": 4}).search.allocation.direct(CHILD) == 3


def test_nothing_from_outside_is_taken_when_a_study_is_stopped_or_its_time_is_up(desk_with):
    stopped, late = desk_with(), desk_with(budget={"wall_seconds": 10.0})
    stopped.search.stop()
    late.search.spend(wall_seconds=10.0)
    assert stopped.search.allocation.direct(Proposal(params=POINT)) is None
    assert late.search.allocation.direct(Proposal(params=POINT)) is None


def test_a_trial_is_retired_from_outside_whatever_the_budget_has_left_but_not_promoted(desk_with):
    desk = paused_trials(desk_with, budget={"epochs": 3})
    assert desk.search.allocation.direct(Promotion(trial=1, reason="why")) is None
    assert desk.search.allocation.direct(Retirement(trial=2, reason="why")) == 2
    assert desk.trials[2].state is TrialState.PRUNED


def test_when_all_trials_are_given_children_and_promotions_are_still_taken_from_outside(desk_with):
    desk = paused_trials(desk_with, budget={"trials": 3})
    assert desk.search.allocation.direct(Proposal(params=POINT)) is None
    assert desk.search.allocation.direct(Promotion(trial=1, reason="why")) == 1
    assert desk.search.allocation.direct(CHILD) == 3
    room = paused_trials(desk_with, budget={"trials": 4})
    assert room.search.allocation.direct(Proposal(params=POINT)) == 3


# -- looking ahead ----------------------------------------------------------------------------------------------------


def test_looking_ahead_ends_where_a_grid_does(spec_with):
    search = Search(spec_with(sampler="grid", budget={"trials": 100}))
    search.look_ahead(90)
    assert len(search.history.waiting) == 25


def test_what_a_user_wants_is_proposed_ahead_before_what_the_strategy_wants(desk_with):
    desk = desk_with(budget={"trials": 9})
    assert desk.search.requests.enqueue(7, POINT, "ada") is None
    desk.search.look_ahead(2)
    assert [trial.request for trial in desk.trials] == [7, None]


def test_trials_are_proposed_ahead_where_the_budget_has_just_room_for_all_that_may_be_asked_for(spec_with):
    enough, short = (Search(spec_with(budget={"epochs": epochs})) for epochs in (18, 17))  # of two trials of 9
    enough.look_ahead(1)
    short.look_ahead(1)
    assert (len(enough.history.waiting), len(short.history.waiting)) == (1, 0)


# -- words and records ------------------------------------------------------------------------------------------------


def test_a_note_is_said_and_said_once(desk_with):
    search = desk_with().search
    search.note("the disk is slow")
    search.note("the disk is slow")
    assert search.take_events() == [Noticed(message="the disk is slow")]


def test_an_extension_stores_the_limits_that_the_study_has_and_no_others(desk_with):
    search = desk_with(budget={"epochs": 60}).search
    assert search.requests.extend(1, Budget(epochs=90)) is None
    (event,) = [event for event in search.take_events() if isinstance(event, Extended)]
    assert dict(event.budget) == {"epochs": 90}


DATA = {"train": [{"name": "x", "type": "float32", "shape": [3, 1], "digest": "a", "sketch": [1.0, 2.0]}]}
OTHER = {"train": [{"name": "x", "type": "float32", "shape": [4, 1], "digest": "b", "sketch": [1.0, 2.0]}]}


def test_other_data_are_noted_only_where_they_are_taken_and_the_same_never(desk_with):
    search = desk_with().search
    search.data.see(DATA)
    search.take_events()
    assert search.data.compare(DATA, may_differ=True) is None
    assert search.take_events() == []
    assert search.data.compare(OTHER) is not None
    assert search.take_events() == []
    assert search.data.compare(OTHER, may_differ=True) is None
    assert len(search.take_events()) == 1


# -- pruners ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pruner", [ASHAPruner, PromotingASHAPruner, SuccessiveHalvingPruner])
def test_the_reduction_factor_is_the_one_that_is_set(spec_with, pruner):
    names = {ASHAPruner: "asha", PromotingASHAPruner: "asha-promote", SuccessiveHalvingPruner: "successive-halving"}
    spec = spec_with(pruner=names[pruner], pruner_options={"reduction_factor": 2})
    assert pruner.reduction_factor(spec) == 2


@pytest.mark.parametrize(("percentile", "is_taken"), [(0.25, False), (0.999, False), (1, True), (25, True)])
def test_a_percentile_is_in_percent(spec_with, percentile, is_taken):
    spec = spec_with(pruner="percentile")
    changed = spec.model_copy(update={"pruner_options": {"percentile": percentile}})
    if is_taken:
        PercentilePruner.check(changed)
    else:
        with pytest.raises(ValueError, match="in percent, at least 1"):
            PercentilePruner.check(changed)


def test_of_a_bracket_that_the_budget_cut_the_best_of_those_that_came_furthest_goes_on_to_the_end(desk_with):
    desk = desk_with(pruner="successive-halving", budget={"trials": 2})
    for value in (0.5, 0.1):
        trial = desk.start().trial
        desk.report(trial, 1, value)
        desk.hand_back(trial, desk.trials[trial].action)
    for until in (3, 9):  # in between, the other one has the better value
        goes_on = desk.start()
        assert (goes_on.trial, goes_on.until_epoch) == (1, until)
        for epoch in range(desk.trials[1].epochs + 1, until + 1):
            verdict = desk.report(1, epoch, 0.7)
        desk.hand_back(1, verdict.action)
    assert desk.trials[1].state is TrialState.COMPLETE
    assert desk.search.next() is None


def test_a_bracket_of_which_nobody_is_left_rescues_nobody(desk_with):
    desk = desk_with(pruner="successive-halving", budget={"trials": 1})
    desk.start()
    desk.fail(0)
    assert desk.search.next() is None
