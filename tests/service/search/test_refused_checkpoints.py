"""A checkpoint that cannot be used costs its trial an attempt; a child of one ends, and another parent is chosen."""

import pytest

from bandstand.trials.broken_study import PARENT_CHECKPOINT
from bandstand.trials.events import Action, CheckpointRefused, Ended, Lost, Measured, TrialState

SPACE = {
    "rate": {"type": "float", "low": 0.001, "high": 1.0, "log": True},
    "units": {"type": "int", "low": 4, "high": 64},
}


def refuse(desk, trial, reason="s3://b/c is damaged"):
    return desk.search.refuse_checkpoint(trial, desk.trials[trial].attempt, reason)


def paused_at_two(desk):
    """Trial 0 has trained two epochs and been given back with a checkpoint, and is begun again from that."""
    desk.start()
    desk.report(0, 1, 0.9)
    desk.report(0, 2, 0.8)
    desk.checkpoint(0, 2)
    desk.lose(0, blamed=False)
    return desk.start()


def test_a_trial_whose_checkpoint_is_refused_begins_again_from_its_first_epoch_and_each_counts_once(desk_with):
    desk = desk_with(budget={"trials": 1}, max_epochs=4)
    assert paused_at_two(desk).from_epoch == 2
    assert refuse(desk, 0) == "trial 0 begins again from its first epoch"
    again = desk.start()
    assert (again.trial, again.attempt, again.from_epoch, again.checkpoint_of) == (0, 3, 0, None)
    for epoch, value in enumerate((0.9, 0.8, 0.7, 0.6), start=1):
        verdict = desk.report(0, epoch, value)
    assert verdict.action is Action.STOP
    desk.finish(0)
    events = desk.search.take_events()
    assert [event.epoch for event in events if isinstance(event, Measured)] == [1, 2, 3, 4]
    assert desk.search.history.ledger.epochs == 4
    assert [event for event in events if isinstance(event, CheckpointRefused)] == [
        CheckpointRefused(trial=0, epoch=2, reason="s3://b/c is damaged")
    ]
    assert [event.blamed for event in events if isinstance(event, Lost)] == [False, False]
    assert desk.trials[0].state is TrialState.COMPLETE


def test_a_trial_whose_checkpoints_are_refused_over_and_over_fails_in_the_end(desk_with):
    desk = desk_with(budget={"trials": 1}, max_epochs=9, max_attempts=3)
    paused_at_two(desk)
    for time in (1, 2):
        assert refuse(desk, 0) == "trial 0 begins again from its first epoch"
        desk.start()
        desk.report(0, 1, 0.9)
        desk.report(0, 2, 0.8)
        desk.checkpoint(0, 2)
        desk.lose(0, blamed=False)
        desk.start()
        assert desk.trials[0].refused == time
    assert refuse(desk, 0) == "trial 0 fails because this happened 3 times"
    trial = desk.trials[0]
    assert (trial.state, trial.reason) == (TrialState.FAILED, "checkpoint")
    assert trial.message == "its checkpoints could not be used 3 times (the last reason: s3://b/c is damaged)"


def test_a_trial_that_was_told_to_stop_ends_as_it_was_told(desk_with):
    desk = desk_with(pruner="threshold", pruner_options={"upper": 0.5, "min_epochs": 2}, max_epochs=9)
    desk.train([0.3] * 9)
    desk.start()
    desk.report(1, 1, 0.9)
    desk.checkpoint(1, 1)
    assert desk.report(1, 2, 0.8).action is Action.STOP
    refuse(desk, 1)
    assert desk.trials[1].state is TrialState.PRUNED


def test_of_a_trial_that_was_to_end_complete_the_model_is_trained_again(desk_with):
    desk = desk_with(budget={"trials": 1}, max_epochs=2)
    desk.start()
    desk.report(0, 1, 0.9)
    desk.checkpoint(0, 1)
    assert desk.report(0, 2, 0.8).action is Action.STOP
    desk.lose(0, blamed=False)
    desk.start()
    refuse(desk, 0)
    again = desk.start()
    assert (again.from_epoch, again.until_epoch) == (0, 2)
    desk.report(0, 1, 0.9)
    verdict = desk.report(0, 2, 0.8)
    assert (verdict.action, verdict.keep_epoch) == (Action.STOP, 2)


def population(desk_with, sampler="pbt", **options):
    desk = desk_with(
        sampler=sampler, pruner="", space=SPACE, max_epochs=8, budget={"trials": 5},
        sampler_options={"population": 5, "interval": 2, "explore": ["rate"]} | options,
    )  # fmt: skip
    for value in (0.5, 0.2, 0.9, 0.3, 0.4):
        desk.train_interval(desk.start().trial, value)
    return desk


def start_until_a_child(desk):
    """Hand out assignments until a worker has a child; that one."""
    while True:
        for trial in desk.trials:
            if trial.parent is not None and trial.state is TrialState.RUNNING:
                return trial
        desk.start()


@pytest.mark.parametrize("sampler", ["pbt", "pb2"])
def test_a_child_whose_parent_s_checkpoint_is_refused_ends_and_a_child_of_another_parent_takes_its_place(
    desk_with, sampler
):
    desk = population(desk_with, sampler)
    child = start_until_a_child(desk)
    first = child.parent
    assert refuse(desk, child.number).startswith(f"trial {child.number} needed it and ends")
    assert (child.state, child.reason, child.epochs - child.from_epoch) == (TrialState.FAILED, PARENT_CHECKPOINT, 0)
    assert child.message == f"it could not start from the checkpoint of trial {first}: s3://b/c is damaged"
    assert not desk.trials[first].has_own_checkpoint
    desk.start()
    other = desk.trials[-1]
    assert (other.bracket, other.number) == (child.bracket, child.number + 1)
    assert other.parent not in (None, first)


def test_children_that_could_not_begin_do_not_make_a_broken_study(desk_with):
    desk = population(desk_with)
    for _ in range(4):
        child = start_until_a_child(desk)
        refuse(desk, child.number)
        if all(not trial.has_own_checkpoint for trial in desk.trials):
            break
    ended = [event for event in desk.search.take_events() if isinstance(event, Ended)]
    assert sum(event.reason == PARENT_CHECKPOINT for event in ended) >= 2
    assert desk.search.history.ended is None
    assert desk.search.next() is not None


def test_a_failure_to_begin_is_no_observation_of_pb2_s_model(desk_with):
    desk = population(desk_with, "pb2")
    child = start_until_a_child(desk)
    before = len(desk.search.strategy._intervals)
    refuse(desk, child.number)
    assert len(desk.search.strategy._intervals) == before


def test_a_parent_that_has_trained_on_since_stays_a_parent(desk_with):
    desk = population(desk_with)
    child = start_until_a_child(desk)
    parent = desk.trials[child.parent]
    while parent.state is not TrialState.RUNNING:
        desk.start()
    desk.report(parent.number, 3, 0.19)
    desk.checkpoint(parent.number, 3)
    refuse(desk, child.number)
    assert (parent.checkpoint_epoch, parent.refused) == (3, 0)


def test_a_child_s_own_checkpoint_refused_it_begins_again_from_its_parent_s(desk_with):
    desk = population(desk_with)
    child = start_until_a_child(desk)
    desk.report(child.number, 3, 0.5)
    desk.checkpoint(child.number, 3)
    desk.lose(child.number, blamed=False)
    while child.state is not TrialState.RUNNING:
        desk.start()
    assert refuse(desk, child.number) == f"trial {child.number} begins again from epoch 2 of trial {child.parent}"
    assert (child.state, child.checkpoint_epoch) == (TrialState.WAITING, 2)


def restarts(desk_with, **options):
    settings = {"parameter": "rate", "cycle_epochs": 2, "cycles": 3, "configurations": 1} | options
    desk = desk_with(
        sampler="lr-restarts", pruner="", space=SPACE, max_epochs=6, budget={"epochs": 20}, sampler_options=settings
    )
    desk.train_interval(desk.start().trial, 0.5)
    return desk


def test_a_cycle_whose_beginning_is_lost_is_trained_by_another_trial_once_the_cycle_before_has_its_end_again(desk_with):
    desk = restarts(desk_with)
    assert desk.start().checkpoint_of == 0
    refuse(desk, 1)
    again = desk.start()
    assert (again.trial, again.from_epoch, again.until_epoch) == (0, 0, 2)
    for epoch in (1, 2):
        verdict = desk.report(0, epoch, 0.5)
    desk.hand_back(0, verdict.action)
    child = desk.start()
    assert (child.trial, child.checkpoint_of, child.from_epoch) == (2, 0, 2)
    assert desk.trials[2].origin.startswith("cycle 2 of trial 0: the last weights of trial 0")
    assert desk.search.history.ledger.epochs == 2


def test_where_the_cycle_before_has_ended_the_next_one_begins_with_fresh_weights(desk_with):
    desk = restarts(desk_with)
    desk.start()
    desk.search.next()  # another worker retires the cycle before
    assert desk.trials[0].state is TrialState.COMPLETE
    refuse(desk, 1)
    child = desk.start()
    assert (child.trial, child.checkpoint_of, child.from_epoch) == (2, None, 0)
    assert desk.trials[2].origin.startswith("cycle 2 of trial 0: fresh weights")


def test_a_replay_trains_the_segment_before_again(desk_with):
    segments = [{"params": {"rate": 0.1, "units": 8}, "epochs": 2}, {"params": {"rate": 0.2, "units": 8}, "epochs": 2}]
    desk = desk_with(
        sampler="replay", pruner="", space=SPACE, max_epochs=4, budget={"trials": 1},
        sampler_options={"segments": segments},
    )  # fmt: skip
    desk.train_interval(desk.start().trial, 0.5)
    assert desk.start().checkpoint_of == 0
    assert desk.search.next() is None  # the segment before may be needed once more
    refuse(desk, 1)
    again = desk.start()
    assert (again.trial, again.from_epoch) == (0, 0)
    for epoch in (1, 2):
        verdict = desk.report(0, epoch, 0.5)
    desk.hand_back(0, verdict.action)
    desk.start()
    desk.train_interval(2, 0.4)
    assert desk.search.next() is None
    desk.search.conclude()
    assert [trial.reason for trial in desk.trials][1] == PARENT_CHECKPOINT
    assert desk.search.history.best.number == 2
    assert desk.search.history.ledger.epochs == 4
