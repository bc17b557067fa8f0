"""Trials that ended at different epochs, in one order."""

from math import nan

import pytest

from bandstand.strategies.past_trials.ranking import Ranking


@pytest.fixture
def order_of(desk_with):
    """The numbers of the trials with these curves, the best first; a curve ends in a word where it failed."""

    def order(curves, **changes):
        desk = desk_with(max_epochs=9, budget={"epochs": 500}, **changes)
        desk.search.begin()
        events = []
        for curve in curves:
            number = desk.start().trial
            for epoch, value in enumerate(curve, start=1):
                if isinstance(value, str):
                    desk.fail(number, value) if value == "exception" else desk.finish(number, value)
                    break
                ended = "early_stopping" if epoch == len(curve) < 9 and "pruner" not in changes else ""
                if desk.report(number, epoch, value, ended=ended).action == "stop":
                    desk.finish(number)
                    break
        ranking = Ranking(desk.search.spec)
        events = desk.search.take_events()
        for event in events:
            ranking.observe(event)
        return [trial.number for trial in ranking.ranked(desk.trials)]

    return order


def curve(*values):
    """Nine epochs, the last value repeated."""
    return [*values, *[values[-1]] * (9 - len(values))]


def test_complete_trials_stand_by_their_result(order_of):
    assert order_of([curve(0.5), curve(0.9, 0.1, 0.7), curve(0.3)]) == [1, 2, 0]
    assert order_of([curve(0.5), curve(0.9, 0.1, 0.7), curve(0.3)], objective={"epoch": "last"}) == [2, 0, 1]
    assert order_of([curve(0.5), curve(0.9), curve(0.3)], objective={"direction": "maximize"}) == [1, 0, 2]


def test_a_trial_that_was_let_go_on_stands_before_those_stopped_at_that_rung_whatever_their_values(order_of):
    # The first is the best of one and goes on; the second is better later, when it has more to be compared with.
    curves = [curve(0.9), curve(0.8), curve(0.7), curve(0.85)]
    assert order_of(curves, pruner="asha") == [2, 1, 0, 3]


def test_a_trial_nobody_judged_stands_by_its_value_at_the_epoch_where_the_other_was_stopped(order_of):
    settings = {"pruner": "hyperband", "pruner_options": {"min_epochs": 1}}
    desk_order = order_of([curve(0.5 + number / 100) for number in range(20)], **settings)
    assert desk_order[0] == 0
    # Whichever bracket: with equal shapes the values decide, but for what a rung let go on.
    assert sorted(desk_order[:10]) != list(range(10, 20))
    assert sum(desk_order.index(number) for number in range(10)) < sum(
        desk_order.index(number) for number in range(10, 20)
    )


def test_what_stopped_early_by_itself_is_compared_as_if_it_had_stayed_there(order_of):
    assert order_of([curve(0.5), [0.9, 0.4], [0.1, 0.6]], objective={"epoch": "last"}) == [1, 0, 2]


def test_failed_trials_stand_last(order_of):
    order = order_of([["exception"], [0.1, 0.1, nan], curve(0.9), [0.0, "exception"], curve(0.5)])
    assert order[:2] == [4, 2]
    assert sorted(order[2:]) == [0, 1, 3]


def test_a_coin_settles_ties_without_favour_for_the_early_or_the_late(order_of):
    firsts = [order_of([curve(0.5)] * 2, seed=seed)[0] for seed in range(40)]
    assert 8 < sum(firsts) < 32


# -- pauses ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def paused(desk_with):
    """A desk whose trials pause at epochs 1 and 3, four to a bracket; trials 1 and 2 of the first go on."""
    desk = desk_with(
        pruner="successive-halving", pruner_options={"trials": 4, "reduction_factor": 2}, budget={"trials": 90}
    )
    for value in (0.5, 0.1, 0.2, 0.4):
        number = desk.start().trial
        desk.report(number, 1, value)
        desk.pause(number)
    return desk


def ranks(desk):
    ranking = Ranking(desk.search.spec)
    for event in desk.search.take_events():
        ranking.observe(event)
    return [trial.number for trial in ranking.ranked(desk.trials)]


def test_trials_that_wait_at_a_rung_stand_by_their_values_there(paused):
    assert ranks(paused) == [1, 2, 3, 0]


def test_a_trial_under_way_stands_where_it_was_last_judged_whatever_it_has_reported_since(paused):
    assert paused.start().trial == 1
    assert paused.start().trial == 2
    paused.report(2, 2, 0.0)
    assert ranks(paused) == [1, 2, 3, 0]


def test_a_trial_that_went_on_stands_before_those_that_still_wait_below(paused):
    assert [paused.start(2).trial, paused.trials[1].state] == [2, "running"]
    # A second bracket, whose first trial is better at epoch 1 than all of the first.
    number = paused.start().trial
    paused.report(number, 1, 0.05)
    paused.pause(number)
    assert ranks(paused) == [1, 2, 4, 3, 0]


def test_a_pause_because_the_study_is_being_stopped_is_no_judgement(desk_with):
    options = {"trials": 4, "reduction_factor": 2, "min_epochs": 2}
    desk = desk_with(pruner="successive-halving", pruner_options=options, objective={"epoch": "last"})
    for value in (0.5, 0.1, 0.2, 0.4):
        number = desk.start().trial
        for epoch in (1, 2):
            desk.report(number, epoch, value)
        desk.checkpoint(number, 2)
        desk.pause(number)
    desk.start(2)
    desk.search.stop()
    for number, value in ((1, 0.9), (2, 0.3)):
        assert desk.report(number, 3, value).action == "pause"
        desk.pause(number)
    assert ranks(desk) == [1, 2, 3, 0]
