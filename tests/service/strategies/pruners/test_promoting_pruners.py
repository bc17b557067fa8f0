"""ASHA with promotion and successive halving, on examples small enough to check by hand."""

import pytest

from bandstand.trials.events import Action, TrialState

PAUSE, GO = Action.PAUSE, Action.CONTINUE


def asha(desk_with, **changes):
    return desk_with(**{"pruner": "asha-promote", "max_epochs": 9, "budget": {"trials": 1000}} | changes)


def pause(desk, values):
    """A trial that reports these values and pauses at the last; returns its number."""
    trial = desk.start().trial
    for epoch, value in enumerate(values, start=1):
        verdict = desk.report(trial, epoch, value)
    assert verdict.action is PAUSE
    give_back(desk, trial)
    return trial


def give_back(desk, trial):
    """The trial's checkpoint is durable, and the worker free."""
    desk.checkpoint(trial, desk.trials[trial].epochs)
    desk.pause(trial)


def test_a_third_of_a_rung_goes_on_whenever_it_has_grown_enough(desk_with):
    desk = asha(desk_with)
    assert [pause(desk, [value]) for value in (0.5, 0.3)] == [0, 1]
    assert [trial.state for trial in desk.trials] == [TrialState.PAUSED] * 2
    third = desk.start()  # nothing can be promoted: one of two would not be a third
    assert third.trial == 2
    assert desk.report(2, 1, 0.4).action is PAUSE  # trial 1 is the one that goes on
    assert desk.trials[2].reason == "rung 1: place 2 of 3, 1 may go on"
    give_back(desk, 2)
    promoted = desk.start()
    assert (promoted.trial, promoted.from_epoch, promoted.until_epoch, promoted.checkpoint_of) == (1, 1, 3, 1)


def test_a_trial_that_would_be_promoted_at_once_trains_on_without_a_pause(desk_with):
    desk = asha(desk_with)
    for value in (0.5, 0.4):
        pause(desk, [value])
    trial = desk.start().trial
    verdict = desk.report(trial, 1, 0.3)
    assert (verdict.action, verdict.until_epoch) == (GO, 3)
    assert desk.trials[trial].reason == "rung 1: place 1 of 3, 1 may go on"


def test_the_highest_rung_comes_first(desk_with):
    desk = asha(desk_with)
    desk.start(9)
    for trial in range(9):
        assert desk.report(trial, 1, trial / 100).action is PAUSE
        give_back(desk, trial)
    promoted = [desk.start() for _ in range(3)]
    assert [(job.trial, job.from_epoch, job.until_epoch) for job in promoted] == [(0, 1, 3), (1, 1, 3), (2, 1, 3)]
    desk.start(3)
    for trial in range(9, 12):  # so that a fourth trial may go on from rung 1
        assert desk.report(trial, 1, trial / 100).action is PAUSE
        give_back(desk, trial)
    for trial in range(3):  # and now one from rung 3, too
        desk.report(trial, 2, 0.5)
        assert desk.report(trial, 3, trial / 100).action is PAUSE
        give_back(desk, trial)
    jobs = [desk.start() for _ in range(3)]
    assert [(job.trial, job.from_epoch, job.until_epoch) for job in jobs] == [(0, 3, 9), (3, 1, 3), (12, 0, 1)]


@pytest.mark.parametrize("workers", [1, 4])
def test_at_the_end_the_best_third_of_each_rung_has_gone_on_whatever_came_first(spec_with, cluster_of, workers):
    """And perhaps a few more, which were among the best third of those that had come before them."""
    spec = spec_with(pruner="asha-promote", max_epochs=9, budget={"trials": 9}, sampler="grid")
    history = cluster_of(spec, workers=workers).run().history
    for epoch, above, number in [(1, 3, 3), (3, 9, 1)]:
        there = sorted(
            (trial for trial in history.trials if trial.epochs >= epoch), key=lambda it: it.values[epoch - 1]
        )
        assert len(there) >= 3 * number
        assert all(trial.epochs >= above for trial in there[:number])
    ended = [trial.state for trial in history.trials if trial.epochs == 9]
    assert len(history.trials) == 9
    assert ended == [TrialState.COMPLETE] * len(ended)


def test_the_best_of_too_few_trials_is_trained_to_the_end(desk_with):
    desk = asha(desk_with, budget={"trials": 2})
    for value in (0.5, 0.4):
        pause(desk, [value])
    assert desk.start().trial == 1
    for epoch, value in [(2, 0.4), (3, 0.4)]:
        desk.report(1, epoch, value)
    give_back(desk, 1)
    assert desk.start().trial == 1
    for epoch in range(4, 10):
        verdict = desk.report(1, epoch, 0.4)
    assert (verdict.action, verdict.keep_epoch) == (Action.STOP, 1)
    desk.finish(1)
    assert desk.search.next() is None
    assert desk.search.done
    desk.search.conclude()
    assert [(trial.state, trial.reason) for trial in desk.trials] == [
        (TrialState.PRUNED, "rung 1: not promoted before the study ended"),
        (TrialState.COMPLETE, "max_epochs"),
    ]


def test_a_paused_trial_ends_once_it_cannot_be_promoted_any_more(desk_with):
    desk = asha(desk_with, budget={"trials": 6})  # so that at most two go on from a rung
    for value in (0.1, 0.2, 0.9):
        trial = desk.start().trial
        if desk.report(trial, 1, value).action is PAUSE:
            give_back(desk, trial)
    assert desk.start().trial == 0
    assert desk.start().trial == 3  # on the way to which trial 2 is let go
    assert (desk.trials[2].state, desk.trials[2].reason) == (
        TrialState.PRUNED,
        "rung 1: place 3 of 3, 1 may go on, and no more than 6 can come",
    )
    assert desk.trials[1].state is TrialState.PAUSED


def test_a_trial_whose_worker_dies_while_it_pauses_is_paused_all_the_same(desk_with):
    desk = asha(desk_with)
    trial = desk.start().trial
    assert desk.report(trial, 1, 0.5).action is PAUSE
    desk.lose(trial)
    assert (desk.trials[trial].state, desk.trials[trial].checkpoint_epoch) == (TrialState.PAUSED, 0)
    assert desk.start().trial == 1
    assert desk.restored().trials[trial].state is TrialState.PAUSED


def test_successive_halving_begins_another_bracket_rather_than_wait(desk_with):
    desk = desk_with(pruner="successive-halving", max_epochs=3, budget={"trials": 1000})
    desk.start(4)
    assert [trial.bracket for trial in desk.trials] == [0, 0, 0, 1]
    for trial, value in [(0, 0.5), (1, 0.4)]:
        desk.report(trial, 1, value)
        give_back(desk, trial)
    assert desk.start().trial == 4  # trial 2 is still under way, so its bracket cannot be judged
    desk.fail(2)
    assert desk.start().trial == 1
    assert desk.start().trial == 5
    assert (desk.trials[0].state, desk.trials[0].reason) == (TrialState.PRUNED, "rung 1: place 2 of 2, 1 may go on")
