"""What a worker may say to a Search, and what it hears."""

import pytest

from bandstand.search.protocol import Measurement, StaleAttemptError
from bandstand.trials.events import Action, Checkpointed, Decided, Ended, Lost, TrialState


@pytest.fixture
def desk(desk_with):
    """Three rungs, 1, 3 and 9, and room for 20 trials."""
    return desk_with(pruner="asha", budget={"trials": 20})


def kinds(search):
    return [type(event) for event in search.take_events()]


@pytest.mark.parametrize(
    "speak",
    [
        lambda search: search.report(0, 1, Measurement(epoch=1, metrics={"val_loss": 0.5})),
        lambda search: search.checkpointed(0, 1, 1, "uri"),
        lambda search: search.finish(0, 1),
        lambda search: search.paused(0, 1),
        lambda search: search.fail(0, 1, "exception", "m"),
    ],
    ids=["report", "checkpointed", "finish", "paused", "fail"],
)
@pytest.mark.parametrize("what", ["the trial waits", "another attempt has it", "it has ended"])
def test_a_word_of_an_attempt_that_lost_its_trial_is_refused(desk, speak, what):
    desk.start()
    desk.lose(0)
    if what == "another attempt has it":
        assert desk.start().attempt == 2
    elif what == "it has ended":
        desk.start()
        desk.fail(0)
    before = repr(desk.trials)
    desk.search.take_events()
    with pytest.raises(StaleAttemptError, match=r"trial 0 is \w+ in attempt \d; got a word of attempt 1"):
        speak(desk.search)
    assert desk.search.take_events() == []
    assert repr(desk.trials) == before


def test_a_second_word_of_the_same_loss_is_ignored(desk):
    desk.start()
    desk.search.lost(0, 1, "gone")
    desk.search.lost(0, 1, "gone")
    desk.start()
    desk.search.lost(0, 1, "gone")
    assert kinds(desk.search).count(Lost) == 1
    assert desk.trials[0].state is TrialState.RUNNING


def test_a_skipped_epoch_is_refused(desk):
    desk.start()
    desk.report(0, 1, 0.5)
    with pytest.raises(ValueError, match="epochs must come in order; trial 0 has 1, got 3"):
        desk.report(0, 3, 0.5)
    assert desk.trials[0].epochs == 1


def test_epochs_trained_again_are_answered_from_what_is_recorded_and_count_once(desk):
    desk.start()
    for epoch in (1, 2):
        desk.report(0, epoch, 0.5)
    desk.lose(0)
    again = desk.start()
    assert (again.trial, again.attempt, again.from_epoch, again.until_epoch) == (0, 2, 0, 3)
    desk.search.take_events()
    for epoch in (1, 2):
        verdict = desk.report(0, epoch, 99.0)
        assert (verdict.action, verdict.until_epoch) == (Action.CONTINUE, 3)
    assert desk.search.take_events() == []
    assert desk.report(0, 3, 0.4).until_epoch == 9
    assert desk.trials[0].values == [0.5, 0.5, 0.4]
    assert desk.search.history.ledger.epochs == 3


def test_a_rung_is_judged_once_however_often_it_is_reached(desk):
    desk.start()
    desk.report(0, 1, 0.5)
    desk.lose(0)
    desk.start()
    desk.report(0, 1, 99.0)
    assert kinds(desk.search).count(Decided) == 1
    assert desk.train([0.6])[1] is Action.STOP
    assert desk.trials[1].reason == "rung 1: place 2 of 2, 1 may go on"


def test_a_trial_goes_on_from_its_latest_checkpoint(desk):
    desk.start()
    desk.report(0, 1, 0.5)
    desk.checkpoint(0, 1)
    desk.report(0, 2, 0.5)
    desk.lose(0)
    again = desk.start()
    assert (again.from_epoch, again.until_epoch) == (1, 3)


def test_an_older_checkpoint_does_not_replace_a_newer_one(desk):
    desk.start()
    for epoch in (1, 2):
        desk.report(0, epoch, 0.5)
    for epoch in (2, 1, 2):
        desk.checkpoint(0, epoch)
    assert desk.trials[0].checkpoint_epoch == 2
    assert kinds(desk.search).count(Checkpointed) == 1


def test_trials_that_wait_come_before_new_ones_the_longest_waiting_first(desk):
    desk.start(3)
    for number in (2, 0, 1):
        desk.lose(number)
    assert [desk.search.next().trial for _ in range(4)] == [2, 0, 1, 3]


def test_a_trial_that_completes_is_still_running_until_its_model_is_saved(desk):
    desk.start()
    for epoch in range(1, 10):
        verdict = desk.report(0, epoch, 1 / epoch)
    assert (verdict.action, verdict.until_epoch, bool(verdict.keep_epoch)) == (Action.STOP, 9, True)
    assert desk.trials[0].state is TrialState.RUNNING
    assert desk.search.history.best_ended is None
    desk.finish(0)
    assert (desk.trials[0].state, desk.search.history.best_ended.number) == (TrialState.COMPLETE, 0)


@pytest.mark.parametrize("checkpoint", [0, 3, 9])
def test_a_completed_trial_whose_worker_dies_is_handed_out_again_to_save_its_model(desk, checkpoint):
    desk.start()
    for epoch in range(1, 10):
        desk.report(0, epoch, 1 / epoch)
        if epoch == checkpoint:
            desk.checkpoint(0, epoch)
    desk.lose(0)
    assert desk.trials[0].state is TrialState.WAITING
    again = desk.start()
    assert (again.trial, again.from_epoch, again.until_epoch) == (0, checkpoint, 9)
    for epoch in range(checkpoint + 1, 9):
        assert desk.report(0, epoch, 0.0).action is Action.CONTINUE
    verdict = desk.report(0, 9, {}, ended="budget")
    assert (verdict.action, bool(verdict.keep_epoch)) == (Action.STOP, True)
    desk.finish(0)
    assert (desk.trials[0].state, desk.trials[0].reason) == (TrialState.COMPLETE, "max_epochs")
    assert desk.trials[0].values == [1 / epoch for epoch in range(1, 10)]


@pytest.mark.parametrize("value", [0.9, float("nan")])
def test_a_trial_of_which_nothing_more_is_wanted_ends_at_once_when_its_worker_dies(desk, value):
    desk.train([0.5] * 9)
    number = desk.start().trial
    assert desk.report(number, 1, value).action is Action.STOP
    desk.lose(number)
    assert desk.trials[number].state is (TrialState.PRUNED if value == 0.9 else TrialState.FAILED)
    assert desk.search.next().trial == number + 1
    assert kinds(desk.search).count(Ended) == 2


def test_a_pruned_trial_that_is_the_best_is_handed_out_again_where_its_worker_dies_before_its_model_is_saved(desk_with):
    desk = desk_with(pruner="asha", max_attempts=2, budget={"trials": 9})
    desk.start(2)
    desk.report(0, 1, 0.1)
    assert desk.report(1, 1, 0.9).keep_epoch == 1
    for attempt in (1, 2):
        assert desk.trials[1].attempt == attempt
        desk.lose(1)
        if attempt == 1:
            again = desk.start()
            assert (again.trial, again.from_epoch, again.until_epoch) == (1, 0, 1)
            assert desk.report(1, 1, 0.9).keep_epoch == 1
    assert desk.trials[1].state is TrialState.PRUNED  # not for ever, and not as a failure


def test_a_stopped_study_pauses_its_trials_at_their_next_report_and_gives_out_nothing(desk):
    desk.start(2)
    desk.report(0, 1, 0.5)
    desk.search.stop()
    assert desk.search.next() is None
    assert not desk.search.done
    between_rungs = desk.report(0, 2, 0.4)
    assert (between_rungs.action, between_rungs.until_epoch) == (Action.PAUSE, 3)
    at_a_rung = desk.report(1, 1, 0.3)
    assert (at_a_rung.action, at_a_rung.until_epoch) == (Action.PAUSE, 3)
    for number in (0, 1):
        desk.checkpoint(number, desk.trials[number].epochs)
        desk.pause(number)
    assert desk.search.done
    assert desk.search.conclude() is None
    assert [trial.state for trial in desk.trials] == [TrialState.WAITING] * 2


def test_a_stopped_study_still_ends_a_trial_that_is_judged_worse(desk):
    desk.start(2)
    desk.report(0, 1, 0.5)
    desk.search.stop()
    assert desk.report(1, 1, 0.6).action is Action.STOP


def test_epochs_trained_again_pause_too_when_the_study_is_stopped(desk):
    desk.start()
    for epoch in (1, 2):
        desk.report(0, epoch, 0.5)
    desk.lose(0)
    desk.start()
    desk.search.stop()
    assert desk.report(0, 1, 0.5).action is Action.PAUSE


def test_a_restored_search_goes_on_up_to_the_granted_epoch(desk):
    desk.start()
    desk.report(0, 1, 0.5)
    desk.search.stop()
    assert desk.report(0, 2, 0.4).action is Action.PAUSE
    desk.checkpoint(0, 2)
    desk.pause(0)
    later = desk.restored()
    again = later.start()
    assert (again.trial, again.attempt, again.from_epoch, again.until_epoch) == (0, 2, 2, 3)
    verdict = later.report(0, 3, 0.3)
    assert (verdict.action, verdict.until_epoch) == (Action.CONTINUE, 9)


def test_a_trial_that_goes_on_after_a_pause_is_not_paused_again(desk_with):
    desk = desk_with()
    desk.start()
    desk.search.stop()
    assert desk.report(0, 1, 0.5).action is Action.PAUSE
    desk.checkpoint(0, 1)
    desk.pause(0)
    later = desk.restored()
    later.start()
    assert [later.report(0, epoch, 0.5).action for epoch in (2, 3, 4)] == [Action.CONTINUE] * 3


def test_a_search_restored_while_trials_ran_begins_them_again_without_blame(desk):
    desk.start(3)
    desk.report(1, 1, 0.5)
    later = desk.restored()
    assert [(trial.state, trial.lost) for trial in later.trials] == [(TrialState.WAITING, 0)] * 3
    assert [later.search.next().attempt for _ in range(3)] == [2, 2, 2]
    assert later.search.next().trial == 3


def test_each_epoch_s_metrics_time_and_learning_rate_are_recorded(desk):
    desk.start()
    desk.search.take_events()
    desk.search.report(
        0, 1, Measurement(epoch=1, metrics={"loss": 1.0, "val_loss": 0.5}, seconds=2.5, learning_rate=0.01)
    )
    measured = desk.search.take_events()[0]
    assert (measured.value, measured.metrics) == (0.5, {"loss": 1.0, "val_loss": 0.5})
    assert (measured.seconds, measured.learning_rate) == (2.5, 0.01)


def test_taken_events_are_not_taken_twice(desk):
    desk.start()
    assert len(desk.search.take_events()) == 2
    assert desk.search.take_events() == []
