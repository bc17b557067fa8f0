"""Bounds on the metric."""

from math import nan

import pytest

from bandstand.trials.events import Action, TrialState

GO, STOP = Action.CONTINUE, Action.STOP


def desk(desk_with, **options):
    return desk_with(pruner="threshold", pruner_options={"upper": None} | options, max_epochs=4, budget={"trials": 9})


@pytest.mark.parametrize(
    ("bounds", "values", "last", "epochs"),
    [
        ({"upper": 2.0}, [1.0, 2.0, 2.1, 0.0], STOP, 3),
        ({"upper": 2.0}, [2.0, 2.0, 2.0], GO, 3),  # a value on a bound is within
        ({"lower": 0.5}, [0.5, 0.4], STOP, 2),
        ({"lower": 0.5}, [0.5, 99.0], GO, 2),
        ({"lower": 0.0, "upper": 1.0}, [0.5, -0.1], STOP, 2),
        ({"lower": 0.0, "upper": 1.0}, [0.5, 1.1], STOP, 2),
        ({"upper": 2.0, "min_epochs": 3}, [9.0, 9.0, 1.0], GO, 3),  # the latest value counts, not the worst
        ({"upper": 2.0, "min_epochs": 3}, [1.0, 1.0, 9.0], STOP, 3),
    ],
)
def test_a_trial_stops_when_its_latest_value_is_out_of_bounds(desk_with, bounds, values, last, epochs):
    at = desk(desk_with, **bounds)
    trial, action = at.train(values)
    assert (action, at.trials[trial].epochs) == (last, epochs)
    assert at.trials[trial].state is (TrialState.PRUNED if last is STOP else TrialState.RUNNING)


def test_bounds_are_the_same_whichever_direction_is_better(desk_with):
    at = desk_with(
        pruner="threshold", pruner_options={"upper": None, "lower": 0.2}, max_epochs=4, budget={"trials": 9},
        objective={"metric": "val_accuracy", "direction": "maximize"},
    )  # fmt: skip
    trial, action = at.train([0.9, 0.1])
    assert (action, at.trials[trial].reason) == (STOP, "val_accuracy 0.1 is below 0.2")


def test_the_reason_names_the_metric_its_value_and_the_bound(desk_with):
    at = desk(desk_with, upper=2.5)
    at.train([3.14159265])
    assert at.trials[0].reason == "val_loss 3.14159 is above 2.5"


def test_nobody_asks_before_the_first_epoch_that_is_judged(desk_with):
    at = desk(desk_with, upper=2.0, min_epochs=3)
    assert at.start().until_epoch == 3


def test_the_last_epoch_completes_even_a_trial_out_of_bounds(desk_with):
    at = desk(desk_with, upper=2.0)
    at.train([1.0, 1.0, 1.0, 9.0])
    assert at.trials[0].state is TrialState.COMPLETE


def test_a_value_that_is_no_number_has_failed_rather_than_left_the_bounds(desk_with):
    at = desk(desk_with, upper=2.0)
    at.train([1.0, nan])
    assert (at.trials[0].state, at.trials[0].reason) == (TrialState.FAILED, "diverged")
