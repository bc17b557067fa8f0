"""Populations whose members Ray Tune compares, as the core sees them: what is decided outside, and what is refused."""

import pytest

from bandstand.strategies.policies.tune_populations import TunePB2, TunePBT
from bandstand.strategies.strategy import Promotion, Proposal, Retirement
from bandstand.trials.events import TrialState
from bandstand_spaces import Categorical, Float, Int, SearchSpace

SPACE = SearchSpace({"rate": Float(1e-4, 1.0, log=True), "units": Int(1, 8), "batch": Categorical([16, 32, 64])})


def population(desk_with, sampler="tune-pbt", budget=None, **options):
    settings = {"population": 3, "interval": 2} | options
    return desk_with(
        sampler=sampler, pruner="", sampler_options=settings, space=SPACE, batch_size="batch", max_epochs=8,
        budget=budget or {"trials": 3},
    )  # fmt: skip


def founded(desk):
    """Each member has trained its first interval; the last is the worst."""
    while isinstance(step := desk.search.allocation.wanted(), Proposal):
        desk.search.allocation.direct(step)
    for value in (0.1, 0.2, 0.9):
        desk.train_interval(desk.start().trial, value)
    return desk


def test_by_itself_it_founds_the_population_and_lets_every_member_train_on(desk_with):
    desk = founded(population(desk_with))
    assert [trial.bracket for trial in desk.trials] == [0, 1, 2]
    for _ in range(9):
        desk.train_interval(desk.start().trial, 0.5)
    assert desk.search.done
    assert {trial.state for trial in desk.trials} == {TrialState.COMPLETE}
    assert {trial.epochs for trial in desk.trials} == {8}


def test_a_clone_decided_outside_is_a_child_trial_in_the_slot_of_the_one_that_ended(desk_with):
    desk = founded(population(desk_with))
    params = {**desk.trials[0].params, "rate": 0.5}
    assert desk.search.allocation.direct(Retirement(trial=2, reason="Ray Tune clones trial 0 instead")) == 2
    child = desk.search.allocation.direct(Proposal(params=params, bracket=2, parent=0, from_epoch=2, origin="Ray Tune"))
    assignment = desk.search.next({child})
    assert (assignment.trial, assignment.checkpoint_of, assignment.from_epoch, assignment.until_epoch) == (3, 0, 2, 4)
    assert (desk.trials[2].state, desk.trials[2].reason) == (TrialState.PRUNED, "Ray Tune clones trial 0 instead")
    # The parent may train on; the checkpoint that the child began from stays until it has one of its own.
    desk.search.allocation.direct(Promotion(trial=0, reason="Ray Tune lets it train on"))
    assert desk.search.next({0}).trial == 0
    desk.train_interval(0, 0.1)
    assert desk.search.models.needed_checkpoints(0) == {2, 4}
    desk.train_interval(3, 0.1)
    assert desk.search.models.needed_checkpoints(0) == {4}


def test_what_was_directed_is_there_after_a_restart(desk_with):
    desk = founded(population(desk_with))
    desk.search.allocation.direct(Promotion(trial=1, reason="Ray Tune lets it train on"))
    assert desk.search.next({1}).trial == 1
    again = desk.restored()
    assert [trial.state for trial in again.trials] == [TrialState.PAUSED, TrialState.WAITING, TrialState.PAUSED]
    assert again.search.next({1}).from_epoch == 2


def test_a_member_that_has_ended_keeps_its_checkpoint_for_a_clone_decided_before(desk_with):
    desk = founded(population(desk_with))
    for _ in range(3):
        desk.search.allocation.direct(Promotion(trial=0, reason=""))
        desk.search.next({0})
        desk.train_interval(0, 0.1)
    assert desk.trials[0].state is TrialState.COMPLETE
    assert desk.search.models.needed_checkpoints(0) == {6}


def test_nothing_is_granted_beyond_the_budget_or_after_a_stop(desk_with):
    desk = founded(population(desk_with, budget={"epochs": 6}))
    assert desk.search.allocation.wanted() is None
    assert desk.search.allocation.direct(Promotion(trial=0, reason="")) is None
    child = Proposal(params=desk.trials[0].params, bracket=2, parent=0, from_epoch=2)
    assert desk.search.allocation.direct(child) is None
    assert desk.search.next() is None
    desk.search.conclude()
    assert [(trial.state, trial.reason) for trial in desk.trials] == [(TrialState.COMPLETE, "budget")] * 3

    stopped = founded(population(desk_with))
    stopped.search.stop()
    assert stopped.search.allocation.direct(Promotion(trial=0, reason="")) is None
    assert stopped.search.allocation.direct(Retirement(trial=0, reason="")) is None


def test_tune_changes_floats_and_the_batch_size_where_nothing_is_said_and_pb2_numbers_only(desk_with):
    assert TunePBT.changing(population(desk_with).search.spec) == ("rate", "batch")
    assert TunePB2.changing(population(desk_with, "tune-pb2").search.spec) == ("rate",)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"executor": "actors"},
            "executor must be tune with sampler tune-pbt, whose members Ray Tune compares; got 'actors': "
            'set executor = "tune", or sampler = "pbt"',
        ),
        ({"pruner": "asha"}, "pruner must be left out with sampler tune-pbt, which decides by itself"),
        ({"sampler_options": {"interval": 9}}, "option interval of sampler tune-pbt must be at most max_epochs; got 9"),
        ({"sampler_options": {"exploit": "luck"}}, "options of sampler tune-pbt may be .*; got 'exploit'"),
        ({"sampler_options": {"explore": ["size"]}}, "must name parameters of the space: rate, units, batch"),
        (
            {"sampler": "tune-pb2", "sampler_options": {"explore": ["batch"]}},
            "option explore of sampler tune-pb2 must name numbers, which its Gaussian process needs; got 'batch'",
        ),
        ({"sampler": "tune-pb2", "sampler_options": {"resample": 0.5}}, "options of sampler tune-pb2 may be"),
        (
            {"space": SearchSpace({"units": Int(1, 8)}), "batch_size": 32},
            "needs a parameter that can change during training",
        ),
        (
            {
                "space": SearchSpace({"kind": Categorical(["a", "b"], branches={"a": {"decay": Float(0.1, 1.0)}})}),
                "batch_size": 32,
                "sampler_options": {"explore": ["decay"]},
            },
            "must name parameters that are always active, because the schedulers of Ray Tune have no conditions; got "
            "'decay'",
        ),
    ],
)
def test_what_tune_cannot_do_is_refused_with_the_way_out(spec_with, changes, line):
    settings = {"sampler": "tune-pbt", "pruner": "", "space": SPACE, "batch_size": "batch", "max_epochs": 8}
    with pytest.raises(ValueError, match=line):
        spec_with(**(settings | changes))
