"""The median stopping rule, on an example small enough to check by hand."""

import pytest

from bandstand.trials.events import Action, TrialState

GO, STOP = Action.CONTINUE, Action.STOP


@pytest.fixture
def desk_after_two(desk_with):
    """Two trials have completed: medians are 0.8, 0.55 and 0.25 after epochs 1, 2 and 3 (times `sign`)."""

    def make(sign=1, **changes):
        settings = {"pruner": "median", "pruner_options": {"startup_trials": 2}, "max_epochs": 4}
        desk = desk_with(**settings | {"budget": {"trials": 100}} | changes)
        for values in [(0.9, 0.5, 0.3, 0.1), (0.7, 0.6, 0.2, 0.1)]:
            assert desk.train([sign * value for value in values])[1] is STOP
        assert [trial.state for trial in desk.trials] == [TrialState.COMPLETE] * 2
        return desk

    return make


@pytest.mark.parametrize(
    ("values", "last", "epochs"),
    [
        ([0.85, 0.0], STOP, 1),
        ([0.80], GO, 1),  # no worse than the median
        ([0.80, 0.60], STOP, 2),
        ([0.50, 0.90], GO, 2),  # its best value so far counts
        ([0.60, 0.90], STOP, 2),
        ([0.10, 0.20, 0.24], GO, 3),
    ],
)
@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_trial_stops_when_its_best_is_worse_than_the_median_at_this_epoch(
    desk_after_two, values, last, epochs, direction, sign
):
    desk = desk_after_two(sign, objective={"direction": direction})
    trial, action = desk.train([sign * value for value in values])
    assert (action, desk.trials[trial].epochs) == (last, epochs)
    assert desk.trials[trial].state is (TrialState.PRUNED if last is STOP else TrialState.RUNNING)


def test_the_reason_names_both_values_as_the_user_measures_them(desk_after_two):
    desk = desk_after_two(-1, objective={"direction": "maximize"})
    trial, _ = desk.train([-0.85])
    assert desk.trials[trial].reason == "best -0.85, median -0.8"


def test_pruned_trials_do_not_move_the_median(desk_after_two):
    desk = desk_after_two()
    for _ in range(5):
        desk.train([0.95])
    assert desk.train([0.85])[1] is STOP


def test_the_last_epoch_completes_even_the_worst_trial(desk_after_two):
    desk = desk_after_two()
    trial, _ = desk.train([0.1, 0.1, 0.1, 99.0])
    assert (desk.trials[trial].state, desk.trials[trial].reason) == (TrialState.COMPLETE, "max_epochs")


def test_nobody_is_stopped_before_enough_trials_have_completed(desk_with):
    desk = desk_with(pruner="median", max_epochs=2, budget={"trials": 100})
    for number in range(5):
        desk.train([number, number])
    assert [trial.state for trial in desk.trials] == [TrialState.COMPLETE] * 5
    assert desk.train([2.1])[1] is STOP


def test_the_first_epochs_are_not_asked_about(desk_after_two):
    desk = desk_after_two(pruner_options={"startup_trials": 2, "min_epochs": 3})
    assert desk.start().until_epoch == 3
    assert [desk.report(2, epoch, 5.0).action for epoch in (1, 2, 3)] == [GO, GO, STOP]


def test_an_ask_that_the_budget_brought_forward_is_not_judged_before_the_first_epoch_that_is(desk_after_two):
    desk = desk_after_two(pruner_options={"startup_trials": 2, "min_epochs": 3}, budget={"epochs": 8 + 2})
    assert desk.start().until_epoch == 2
    desk.report(2, 1, 5.0)
    verdict = desk.report(2, 2, 5.0)
    assert (verdict.action, desk.trials[2].reason) == (STOP, "budget")
