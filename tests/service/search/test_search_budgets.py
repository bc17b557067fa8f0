"""Epochs, trials, wall time and GPU hours: what ends a study, and which trial is its best."""

from math import nan

import pytest

from bandstand.trials.events import Action, TrialState


def states(desk):
    return [(trial.state, trial.reason) for trial in desk.trials]


def test_the_last_trial_is_granted_what_is_left_of_the_epochs(desk_with):
    desk = desk_with(budget={"epochs": 20})
    assert [desk.search.next().until_epoch for _ in range(3)] == [9, 9, 2]
    assert desk.search.next() is None
    assert desk.report(2, 1, 0.5).action is Action.CONTINUE
    verdict = desk.report(2, 2, 0.5)
    assert (verdict.action, desk.trials[2].reason) == (Action.STOP, "budget")
    desk.finish(2)
    assert desk.trials[2].state is TrialState.COMPLETE


def test_epochs_that_a_trial_gives_back_go_to_others(desk_with):
    desk = desk_with(budget={"epochs": 11})
    assert [desk.search.next().until_epoch for _ in range(2)] == [9, 2]
    desk.report(0, 1, 0.5)
    desk.report(0, 2, 0.5, ended="early_stopping")
    assert desk.search.history.ledger.booked_epochs == 4
    desk.report(1, 1, 0.4)
    verdict = desk.report(1, 2, 0.4)
    assert (verdict.action, verdict.until_epoch) == (Action.CONTINUE, 9)
    assert desk.search.history.ledger.booked_epochs == 11


def test_a_study_with_a_limit_of_trials_ends_when_all_have_ended(desk_with):
    desk = desk_with(budget={"trials": 2}, max_epochs=1)
    desk.start(2)
    assert desk.search.next() is None
    assert not desk.search.done
    for number in range(2):
        assert desk.search.conclude() is None
        desk.report(number, 1, 0.5)
        desk.finish(number)
    assert desk.search.done
    assert desk.search.conclude().reason == "the budget is used up"
    assert desk.search.next() is None


def test_a_study_is_concluded_once(desk_with):
    desk = desk_with(budget={"trials": 1}, max_epochs=1)
    desk.train([0.5])
    desk.search.take_events()
    assert desk.search.conclude() == desk.search.conclude()
    assert len(desk.search.take_events()) == 1


@pytest.mark.parametrize(
    ("budget", "nearly", "rest"),
    [
        ({"wall_seconds": 10}, {"wall_seconds": 9.5, "gpu_seconds": 9e9}, {"wall_seconds": 0.5}),
        ({"gpu_hours": 0.5}, {"wall_seconds": 9e9, "gpu_seconds": 1799.0}, {"wall_seconds": 1.0, "gpu_seconds": 1.0}),
    ],
)
def test_when_time_is_up_trials_stop_at_their_next_report_and_nothing_is_given_out(desk_with, budget, nearly, rest):
    desk = desk_with(budget=budget | {"trials": 50}, resources={"gpus": 1})
    desk.start(2)
    desk.search.spend(**nearly)
    assert desk.report(0, 1, 0.5).action is Action.CONTINUE
    desk.start()
    desk.search.spend(**rest)
    assert desk.search.next() is None
    verdict = desk.report(0, 2, 0.4)
    assert (verdict.action, bool(verdict.keep_epoch)) == (Action.STOP, True)
    desk.finish(0)
    for number in (1, 2):
        desk.lose(number)
    assert desk.search.done
    ended = desk.search.conclude()
    assert (ended.failed, ended.reason) == (False, "the budget is used up")
    assert states(desk) == [(TrialState.COMPLETE, "budget"), *[(TrialState.FAILED, "budget")] * 2]
    assert desk.trials[1].message == "it ended before its first epoch was complete"


def test_trials_that_wait_when_time_is_up_end_with_what_they_have(desk_with):
    desk = desk_with(budget={"wall_seconds": 10})
    desk.start()
    desk.report(0, 1, 0.5)
    desk.lose(0)
    desk.search.spend(wall_seconds=10)
    assert not desk.search.conclude().failed
    assert states(desk) == [(TrialState.COMPLETE, "budget")]
    assert desk.search.history.best.number == 0


def test_a_completed_trial_that_waits_for_its_model_when_time_is_up_ends_as_decided(desk_with):
    desk = desk_with(budget={"wall_seconds": 10}, max_epochs=2)
    desk.start()
    for epoch in (1, 2):
        desk.report(0, epoch, 0.5)
    desk.lose(0)
    desk.search.spend(wall_seconds=10)
    desk.search.conclude()
    assert states(desk) == [(TrialState.COMPLETE, "max_epochs")]


def test_a_worker_that_ends_at_the_deadline_unasked_completes_its_trial(desk_with):
    desk = desk_with(budget={"wall_seconds": 10})
    desk.start(2)
    desk.report(0, 1, 0.5)
    verdict = desk.report(0, 1, {}, ended="budget")  # the report of the latest epoch comes again
    assert (verdict.action, bool(verdict.keep_epoch)) == (Action.STOP, True)
    desk.finish(0, "budget")
    desk.finish(1, "budget")  # its first epoch was cut off
    assert states(desk) == [(TrialState.COMPLETE, "budget"), (TrialState.FAILED, "budget")]


def test_the_ledger_tells_how_long_the_time_will_last(desk_with):
    desk = desk_with(budget={"wall_seconds": 100, "gpu_hours": 0.01}, resources={"gpus": 1})
    desk.search.spend(wall_seconds=40, gpu_seconds=26)
    ledger = desk.search.history.ledger
    assert (ledger.seconds_left(0), ledger.seconds_left(2), ledger.seconds_left(0.1)) == (60, 5, 60)
    desk.search.spend(wall_seconds=70)
    assert ledger.seconds_left(2) == 0
    assert desk_with().search.history.ledger.seconds_left(1) is None


def test_spent_time_survives_a_restart(desk_with):
    desk = desk_with(budget={"wall_seconds": 10})
    desk.search.spend(wall_seconds=10)
    assert desk.restored().search.next() is None


# -- the best trial --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "epoch", "value", "best_epoch"),
    [
        ("minimize", "best", 0.2, 2),
        ("maximize", "best", 0.9, 1),
        ("minimize", "last", 0.5, 2),
        ("maximize", "last", 0.5, 1),
    ],
)
def test_a_trial_s_result_is_its_best_or_its_last_epoch_as_the_study_asks(
    desk_with, direction, epoch, value, best_epoch
):
    desk = desk_with(objective={"direction": direction, "epoch": epoch}, max_epochs=3)
    desk.train([0.9, 0.2, 0.5])
    history = desk.search.history
    assert (history.value_of(history.best), history.best.best_epoch) == (value, best_epoch)


@pytest.mark.parametrize(("direction", "best"), [("minimize", 1), ("maximize", 2)])
def test_the_best_trial_has_the_best_result_and_of_equal_ones_it_is_the_earliest(desk_with, direction, best):
    desk = desk_with(objective={"direction": direction}, max_epochs=1, budget={"trials": 9})
    for value in (0.5, 0.1, 0.9, 0.1, 0.9):
        desk.train([value])
    assert desk.search.history.best.number == best


def test_a_completed_trial_is_preferred_to_a_better_pruned_one(desk_with):
    desk = desk_with(pruner="asha", max_epochs=3, budget={"trials": 9}, objective={"epoch": "last"})
    desk.start(2)
    desk.report(1, 1, 0.4)
    desk.report(0, 1, 0.5)
    desk.finish(0)
    assert (desk.trials[0].state, desk.search.history.best.number) == (TrialState.PRUNED, 0)
    desk.report(1, 2, 0.8)
    desk.report(1, 3, 0.9)
    desk.finish(1)
    number, _ = desk.train([0.41])
    assert desk.trials[number].state is TrialState.PRUNED
    assert desk.search.history.best.number == 1


def test_the_best_epoch_of_a_failed_trial_is_the_best_and_its_model_is_wanted(desk_with):
    desk = desk_with(max_epochs=2, budget={"trials": 9})
    desk.train([0.5, 0.5])
    desk.start()
    desk.report(1, 1, 0.1)
    assert desk.report(1, 2, nan).keep_epoch == 1
    desk.finish(1)
    history = desk.search.history
    assert (desk.trials[1].state, history.best.number, history.value_of(history.best)) == (TrialState.FAILED, 1, 0.1)


def test_where_the_last_epoch_counts_a_failed_trial_is_never_the_best(desk_with):
    desk = desk_with(max_epochs=2, budget={"trials": 9}, objective={"epoch": "last"})
    desk.start()
    desk.report(0, 1, 0.0)
    assert desk.report(0, 2, nan).keep_epoch == 0
    desk.finish(0)
    assert desk.search.history.best is None
    desk.train([0.5, 0.5])
    assert desk.search.history.best.number == 1


def test_a_value_counts_from_the_moment_it_was_seen_and_is_never_taken_back(desk_with):
    desk = desk_with(max_epochs=9, budget={"trials": 9}, max_attempts=1)
    desk.start(2)
    desk.report(0, 1, 0.5)
    desk.report(1, 1, 0.2)
    desk.report(0, 2, 0.4)
    history = desk.search.history
    assert (history.best.number, history.best_ended) == (1, None)
    desk.lose(1)
    assert (desk.trials[1].state, history.best.number, history.best_ended.number) == (TrialState.FAILED, 1, 1)


def test_an_epoch_whose_loss_was_not_finite_is_not_the_best(desk_with):
    desk = desk_with(max_epochs=9, budget={"trials": 9})
    desk.start()
    desk.report(0, 1, 0.5)
    assert desk.report(0, 2, {"val_loss": 0.1, "loss": nan}).keep_epoch == 1
    assert (desk.search.history.best.best_epoch, desk.search.history.value_of(desk.trials[0])) == (1, 0.5)


def test_only_a_model_that_would_be_the_best_is_wanted(desk_with):
    desk = desk_with(max_epochs=1, budget={"trials": 9})
    wanted = []
    for value in (0.5, 0.6, 0.4, 0.4):
        number = desk.start().trial
        wanted.append(bool(desk.report(number, 1, value).keep_epoch))
        desk.finish(number)
    assert wanted == [True, False, True, False]


def test_the_model_of_a_pruned_trial_is_wanted_where_it_is_the_best_of_those_that_ended(desk_with):
    desk = desk_with(pruner="asha", budget={"trials": 9})
    desk.start(3)
    desk.report(0, 1, 0.4)
    assert desk.report(1, 1, 0.5).keep_epoch == 1
    desk.finish(1)
    assert desk.report(2, 1, 0.6).keep_epoch == 0
    assert desk.search.history.best.number == 0


def test_a_pruned_trial_whose_earlier_epoch_is_the_best_is_the_best(desk_with):
    desk = desk_with(pruner="asha", max_epochs=9, budget={"trials": 9})
    desk.start(2)
    for epoch, value in enumerate((0.5, 0.6, 0.7), 1):
        desk.report(0, epoch, value)
    desk.report(1, 1, 0.1)
    desk.report(1, 2, 0.8)
    verdict = desk.report(1, 3, 0.9)
    assert (verdict.action, verdict.keep_epoch) == (Action.STOP, 1)
    desk.finish(1)
    history = desk.search.history
    assert (desk.trials[1].state, history.best.number, history.value_of(history.best)) == (TrialState.PRUNED, 1, 0.1)


def test_a_last_epoch_that_came_too_late_and_was_not_finite_does_not_spoil_the_best(desk_with):
    desk = desk_with(objective={"epoch": "last"}, budget={"wall_seconds": 10})
    desk.start(2)
    desk.report(0, 1, 0.5)
    desk.search.spend(wall_seconds=10)
    assert desk.report(0, 2, 0.4).action is Action.STOP
    assert desk.report(0, 3, nan).keep_epoch == 0  # sent before the answer to epoch 2 was heard
    desk.finish(0)
    desk.report(1, 1, 0.9)
    desk.finish(1)
    assert desk.search.history.best.number == 1
