"""Trials are compared at one epoch: the largest rung that enough of them have reached."""

from math import nan

import pytest

from bandstand.strategies.past_trials.standings import Standings
from bandstand_spaces import Float, SearchSpace

RUNGS = (1, 3, 9)


@pytest.fixture
def following(desk_with):
    """A desk whose trials may be compared at epochs 1, 3 and 9, once two have reached a rung, and their standings."""

    def make(direction="minimize"):
        desk = desk_with(
            space=SearchSpace({"x": Float(0, 1)}),
            max_epochs=9,
            budget={"trials": 20},
            objective={"direction": direction},
        )
        standings = Standings(desk.search.spec, RUNGS)
        apply = desk.search.history.apply

        def apply_and_follow(event):
            trial = apply(event)
            standings.observe(event, trial)
            return trial

        desk.search.history.apply = apply_and_follow
        return desk, standings

    return make


def report(desk, trial, values):
    for epoch, value in enumerate(values, start=1):
        desk.report(trial, epoch, value)


def test_nobody_is_best_before_a_rung_is_reached(following):
    desk, standings = following()
    desk.start(2)
    assert standings.best() is None


@pytest.mark.parametrize(("direction", "best"), [("minimize", 1), ("maximize", 0)])
def test_the_best_has_the_best_value_at_the_first_rung_while_few_have_reached_a_higher_one(following, direction, best):
    desk, standings = following(direction)
    desk.start(3)
    report(desk, 0, [0.9, 0.0, 0.0])  # its values at other epochs do not count
    report(desk, 1, [0.5])
    report(desk, 2, [0.7])
    assert standings.best() == best


def test_the_comparison_moves_up_once_enough_trials_have_reached_a_higher_rung(following):
    desk, standings = following()
    desk.start(3)
    report(desk, 0, [0.1])
    report(desk, 1, [0.5, 0.4, 0.3])
    assert standings.best() == 0
    report(desk, 2, [0.6, 0.5, 0.2])
    assert standings.best() == 2


def test_of_equal_trials_the_earlier_is_best(following):
    desk, standings = following()
    desk.start(3)
    report(desk, 2, [0.5])
    report(desk, 1, [0.5])
    assert standings.best() == 1


def test_some_trials_are_compared_at_the_largest_rung_that_any_of_them_has_reached(following):
    desk, standings = following()
    desk.start(4)
    report(desk, 0, [0.5, 0.5, 0.5])
    report(desk, 1, [0.6, 0.6, 0.6])
    report(desk, 2, [0.4])
    report(desk, 3, [0.3])
    assert standings.best() == 0
    assert standings.best([2, 3]) == 3
    assert standings.best([1, 2]) == 1
    assert standings.best([]) is None


def test_a_trial_that_stopped_early_stands_at_later_rungs_with_its_last_value(following):
    desk, standings = following()
    desk.start(2)
    report(desk, 0, [0.5, 0.4, 0.3])
    desk.report(1, 1, 0.6)
    desk.report(1, 2, 0.2, ended="early_stopping")
    desk.finish(1)
    assert standings.best() == 1


def test_failed_trials_stand_nowhere(following):
    desk, standings = following()
    desk.start(3)
    report(desk, 0, [0.1, nan])
    desk.finish(0)
    report(desk, 1, [0.2])
    desk.fail(1)
    report(desk, 2, [0.9])
    assert standings.best() == 2


def test_a_gap_is_measured_where_both_trials_have_a_value(following):
    desk, standings = following()
    desk.start(3)
    report(desk, 0, [0.5, 0.5, 0.25])
    report(desk, 1, [1.0, 0.5, 0.75])
    report(desk, 2, [2.0])
    assert standings.gap(0, 1) == 0.5
    assert standings.gap(1, 2) == 1.0
    desk.start()
    assert standings.gap(0, 3) is None
