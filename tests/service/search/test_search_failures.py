"""Failed trials are results; a broken study is told from one with some bad trials."""

from math import inf, nan

import pytest

from bandstand.trials.events import Action, TrialState


@pytest.fixture
def desk(desk_with):
    return desk_with(budget={"trials": 40})


def fail_one(desk, **options):
    number = desk.start().trial
    desk.fail(number, **options)


def complete_one(desk, value=0.5):
    assert desk.train([value] * 9)[1] is Action.STOP


def test_three_equal_exceptions_and_nothing_else_end_the_study(desk):
    for _ in range(2):
        fail_one(desk, message="ValueError: no such layer", signature="model.py:7")
    assert desk.search.history.ended is None
    fail_one(desk, message="ValueError: no such layer", signature="model.py:7")
    ended = desk.search.history.ended
    assert ended.failed
    assert ended.reason == "each of its first 3 trials failed the same way: ValueError: no such layer"
    assert desk.search.next() is None
    assert desk.search.done
    assert desk.search.conclude() == ended


def test_a_trial_that_trains_where_the_others_failed_shows_that_the_study_is_not_broken(desk):
    desk.start()
    desk.report(0, 1, 0.5)
    for _ in range(12):
        fail_one(desk, signature="model.py:7")
    assert desk.search.history.ended is None


def test_a_trial_that_has_not_got_that_far_is_given_some_time(desk):
    desk.start()
    for _ in range(8):
        fail_one(desk, signature="model.py:7")
    assert desk.search.history.ended is None
    fail_one(desk, signature="model.py:7")
    assert desk.search.history.ended.failed


def test_the_last_of_the_trials_under_way_decides(desk):
    desk.start()
    for _ in range(4):
        fail_one(desk, signature="model.py:7")
    desk.fail(0, signature="model.py:7")
    assert desk.search.history.ended.reason.startswith("each of its first 5 trials failed the same way")


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("other", ["another exception", "a completed trial"])
def test_anything_else_among_the_first_trials_shows_that_the_study_is_not_broken(desk, position, other):
    for number in range(12):
        if number != position:
            fail_one(desk, signature="model.py:7")
        elif other == "another exception":
            fail_one(desk, signature="model.py:8")
        else:
            complete_one(desk)
    assert desk.search.history.ended is None


def test_a_pruned_trial_shows_it_too(desk_with):
    desk = desk_with(pruner="asha", budget={"trials": 40})
    assert desk.train([0.5, 0.5])[1] is Action.CONTINUE
    assert desk.train([0.6])[1] is Action.STOP
    for _ in range(5):
        fail_one(desk, signature="model.py:7")
    assert desk.search.history.ended is None


def test_failures_of_a_kind_without_a_signature_are_equal(desk):
    for _ in range(3):
        fail_one(desk, kind="internal", message="it broke")
    assert desk.search.history.ended.failed


@pytest.mark.parametrize("kind", ["out_of_memory", "too_slow"])
def test_a_wide_range_of_sizes_may_begin_with_some_that_are_too_large(desk, kind):
    for _ in range(10):
        assert desk.search.history.ended is None
        fail_one(desk, kind=kind, message="too large", signature=kind)
    assert desk.search.history.ended.failed


def test_a_failed_trial_keeps_its_kind_and_message_and_frees_what_it_did_not_train(desk_with):
    desk = desk_with(budget={"epochs": 20})
    desk.start()
    desk.report(0, 1, 0.5)
    assert desk.search.history.ledger.booked_epochs == 9
    desk.fail(0, "out_of_memory", "OOM when allocating")
    trial = desk.trials[0]
    assert (trial.state, trial.reason, trial.message) == (TrialState.FAILED, "out_of_memory", "OOM when allocating")
    assert desk.search.history.ledger.booked_epochs == 1
    assert desk.search.history.best is trial


def test_a_missing_metric_ends_the_study_at_once(desk):
    desk.start()
    assert desk.report(0, 1, {"loss": 0.5, "val_los": 0.4}).action is Action.STOP
    desk.finish(0)
    assert desk.trials[0].message == "epoch 1 did not report val_loss"
    ended = desk.search.history.ended
    assert ended.failed
    assert ended.reason.endswith("epoch 1 did not report val_loss")


def test_a_missing_metric_after_other_results_only_fails_its_trial(desk):
    complete_one(desk)
    desk.start()
    desk.report(1, 1, {"loss": 0.5})
    desk.finish(1)
    assert desk.trials[1].reason == "missing_metric"
    assert desk.search.history.ended is None


@pytest.mark.parametrize(
    "metrics",
    [
        {"val_loss": nan},
        {"val_loss": inf},
        {"val_loss": -inf},
        {"val_loss": 0.5, "loss": nan},
        {"val_loss": nan, "loss": 1},
    ],
)
def test_a_trial_whose_loss_or_objective_is_not_finite_has_diverged(desk, metrics):
    desk.start()
    desk.report(0, 1, 0.5)
    verdict = desk.report(0, 2, metrics)
    assert (verdict.action, verdict.keep_epoch) == (Action.STOP, 1)
    desk.finish(0)
    assert (desk.trials[0].state, desk.trials[0].reason) == (TrialState.FAILED, "diverged")
    assert desk.trials[0].message == "the loss or val_loss was not finite in epoch 2"


def test_a_metric_that_is_not_the_objective_may_be_nan(desk):
    desk.start()
    assert desk.report(0, 1, {"val_loss": 0.5, "f1": nan}).action is Action.CONTINUE


def test_ten_diverged_trials_and_nothing_else_end_the_study(desk):
    for number in range(10):
        assert desk.search.history.ended is None
        desk.start()
        desk.report(number, 1, nan)
        desk.finish(number)
    assert desk.search.history.ended.reason.startswith("each of its first 10 trials failed the same way")


def test_a_worker_that_dies_as_often_as_allowed_fails_its_trial_with_the_reason(desk):
    for attempt in (1, 2):
        assert desk.start().attempt == attempt
        desk.lose(0)
        assert desk.trials[0].state is TrialState.WAITING
    assert desk.start().attempt == 3
    desk.lose(0)
    trial = desk.trials[0]
    assert (trial.state, trial.reason) == (TrialState.FAILED, "worker_died")
    assert trial.message == "its worker died 3 times (the last reason: the node went away)"
    assert desk.start().trial == 1


def test_deaths_without_blame_are_not_counted(desk):
    for attempt in range(1, 20):
        assert desk.start().attempt == attempt
        desk.lose(0, blamed=False)
    desk.start()
    desk.lose(0)
    assert (desk.trials[0].state, desk.trials[0].lost) == (TrialState.WAITING, 1)


def test_blame_survives_a_restart_of_the_coordinator(desk):
    for _ in range(2):
        desk.start()
        desk.lose(0)
    later = desk.restored()
    assert later.trials[0].lost == 2
    later.start()
    later.lose(0)
    assert later.trials[0].state is TrialState.FAILED


def test_three_trials_that_kill_their_workers_end_the_study(desk_with):
    desk = desk_with(budget={"trials": 40}, max_attempts=1)
    for number in range(3):
        desk.start()
        desk.lose(number)
    assert "its worker died once" in desk.search.history.ended.reason


def test_trials_under_way_pause_when_the_study_breaks(desk):
    desk.start(4)
    for number in range(3):
        desk.fail(number)
    for _ in range(6):
        fail_one(desk)
    assert not desk.search.done
    assert desk.report(3, 1, 0.5).action is Action.PAUSE
    desk.pause(3)
    assert desk.search.done
    assert desk.search.conclude().failed
    assert desk.trials[3].state is TrialState.WAITING


def test_a_reopened_study_goes_on_and_may_break_again(desk):
    desk.start(4)
    for number in range(3):
        desk.fail(number)
    for _ in range(6):
        fail_one(desk)
    desk.report(3, 1, 0.5)
    desk.checkpoint(3, 1)
    desk.pause(3)
    later = desk.restored()
    assert later.search.next() is None
    later.search.reopen()
    assert later.search.history.ended is None
    again = later.start()
    assert (again.trial, again.from_epoch, again.until_epoch) == (3, 1, 9)
    for _ in range(2):
        fail_one(later)
    assert later.search.history.ended is None
    later.fail(3)
    assert later.search.history.ended.failed


def test_a_reopened_study_can_finish(desk_with):
    desk = desk_with(budget={"trials": 5}, max_epochs=1)
    for _ in range(3):
        fail_one(desk)
    desk.search.reopen()
    for _ in range(2):
        desk.train([0.5])
    ended = desk.search.conclude()
    assert (ended.failed, ended.reason) == (False, "the budget is used up")
    later = desk.restored()
    assert later.search.history.ended == ended


def test_reopening_a_study_that_has_not_ended_changes_nothing(desk):
    desk.start()
    desk.search.take_events()
    desk.search.reopen()
    assert desk.search.take_events() == []


def test_a_study_of_which_every_trial_failed_has_failed(desk_with):
    desk = desk_with(budget={"trials": 2})
    for number in range(2):
        fail_one(desk, signature=str(number))
    ended = desk.search.conclude()
    assert (ended.failed, ended.reason) == (True, "every trial failed")
