"""ASHA of the stopping kind, on examples small enough to check by hand."""

import pytest

from bandstand.trials.events import Action, TrialState

GO, STOP = Action.CONTINUE, Action.STOP


def asha(desk_with, **changes):
    return desk_with(**{"pruner": "asha", "max_epochs": 9, "budget": {"trials": 1000}} | changes)


# Among the n that have reached the rung, itself included, max(1, n // 3) may go on.
FIRST_RUNG = [
    (0.50, GO, "rung 1: place 1 of 1, 1 may go on"),
    (0.60, STOP, "rung 1: place 2 of 2, 1 may go on"),
    (0.40, GO, "rung 1: place 1 of 3, 1 may go on"),
    (0.45, STOP, "rung 1: place 2 of 4, 1 may go on"),
    (0.70, STOP, "rung 1: place 5 of 5, 1 may go on"),
    (0.42, GO, "rung 1: place 2 of 6, 2 may go on"),
    (0.41, GO, "rung 1: place 2 of 7, 2 may go on"),
    (0.90, STOP, "rung 1: place 8 of 8, 2 may go on"),
    (0.43, STOP, "rung 1: place 4 of 9, 3 may go on"),
]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_trial_goes_on_if_it_is_among_the_best_third_of_those_at_its_rung(desk_with, direction, sign):
    desk = asha(desk_with, objective={"direction": direction})
    for value, action, reason in FIRST_RUNG:
        trial = desk.start().trial
        verdict = desk.report(trial, 1, sign * value)
        assert (verdict.action, desk.trials[trial].reason) == (action, reason)
        assert verdict.until_epoch == (3 if action is GO else 1)


def test_the_value_at_the_rung_counts_not_the_best_before_it(desk_with):
    desk = asha(desk_with)
    desk.start(2)
    for trial, values in enumerate([(0.5, 0.5, 0.5), (0.4, 0.1, 0.6)]):
        for epoch, value in enumerate(values, start=1):
            verdict = desk.report(trial, epoch, value)
    assert (verdict.action, desk.trials[1].reason) == (STOP, "rung 3: place 2 of 2, 1 may go on")


def test_between_rungs_nobody_is_judged(desk_with):
    desk = asha(desk_with)
    assert desk.train([0.5, 0.4])[1] is GO
    trial, action = desk.train([0.3, 99.0])
    assert action is GO
    assert desk.trials[trial].granted == 3


def test_the_last_epoch_completes_even_the_worst_trial(desk_with):
    desk = asha(desk_with)
    desk.train([0.5] * 9)
    worst, action = desk.train([0.4] * 8 + [99.0])
    assert action is STOP
    assert [(desk.trials[number].state, desk.trials[number].reason) for number in (0, worst)] == [
        (TrialState.COMPLETE, "max_epochs")
    ] * 2


def test_a_stopped_trial_is_pruned_and_ends_when_the_worker_is_done(desk_with):
    desk = asha(desk_with)
    desk.train([0.5, 0.5])
    trial = desk.start().trial
    desk.report(trial, 1, 0.6)
    assert desk.trials[trial].state is TrialState.RUNNING
    desk.finish(trial)
    assert (desk.trials[trial].state, desk.trials[trial].reason) == (
        TrialState.PRUNED,
        "rung 1: place 2 of 2, 1 may go on",
    )


def test_first_rung_and_factor_are_options(desk_with):
    desk = asha(desk_with, pruner_options={"min_epochs": 2, "reduction_factor": 2}, max_epochs=8)
    assert desk.start().until_epoch == 2
    for number in (1, 2, 3):
        desk.start()
        desk.report(number, 1, 0.5 + number / 10)
    desk.report(0, 1, 0.9)
    assert [desk.report(number, 2, value).action for number, value in enumerate([0.1, 0.3, 0.4, 0.2])] == [
        GO,
        STOP,
        STOP,
        GO,
    ]
    assert desk.trials[3].reason == "rung 2: place 2 of 4, 2 may go on"
    assert desk.trials[3].granted == 4


def test_of_trials_with_equal_values_about_a_third_go_on_early_and_late_ones_alike(desk_with):
    desk = asha(desk_with)
    passed = []
    for number in range(300):
        desk.start()
        passed.append(desk.report(number, 1, 0.5).action is GO)
        desk.fail(number, signature=str(number))
    assert 80 <= sum(passed) <= 120
    assert sum(passed[:150]) > 30
    assert sum(passed[150:]) > 30


def test_diverged_trials_are_not_counted_at_a_rung(desk_with):
    desk = asha(desk_with)
    desk.train([0.5, 0.5])
    assert desk.train([float("nan")])[1] is STOP
    assert desk.train([0.1])[1] is GO
    assert desk.trials[2].reason == "rung 1: place 1 of 2, 1 may go on"
