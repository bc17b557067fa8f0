"""A trial that pauses at a rung may wait there to the end of the study: what it has shown must count while it waits."""

from math import nan

import optuna
import pytest

from bandstand.strategies import SAMPLERS
from bandstand.trials.events import Action, TrialState
from bandstand_spaces import Float, SearchSpace
from tests.service.search.harness.pairs import SHORT_STARTS

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

LINE = SearchSpace({"x": Float(0.0, 1.0)})


@pytest.fixture
def desk_of(desk_with):
    """A desk of a study whose trials pause at epochs 1 and 3; 50 of them fill a bracket."""

    def make(sampler, **changes):
        settings = {
            "sampler": sampler, "sampler_options": SHORT_STARTS.get(sampler, {}), "space": LINE,
            "budget": {"trials": 90}, "pruner": "successive-halving", "pruner_options": {"trials": 50},
        }  # fmt: skip
        return desk_with(**settings | changes)

    return make


def first_epoch(desk, value=None, *, sign=1):
    """A new trial's first epoch; its loss is x or -x unless a value is given. Returns its number."""
    assignment = desk.start()
    trial = assignment.trial
    action = desk.report(trial, 1, sign * assignment.params["x"] if value is None else value).action
    if action is Action.PAUSE:
        desk.checkpoint(trial, 1)
        desk.pause(trial)
    elif action is Action.STOP:
        desk.finish(trial)
    return trial


def go_on(desk, values, *, pauses=True):
    """The next assignment's further epochs; it was paused before."""
    assignment = desk.start()
    trial = assignment.trial
    assert assignment.from_epoch > 0
    for epoch, value in enumerate(values, start=assignment.from_epoch + 1):
        desk.report(trial, epoch, value)
    if pauses:
        desk.checkpoint(trial, desk.trials[trial].epochs)
        desk.pause(trial)
    return trial


def proposals(desk, sign):
    """Of 24 trials one after the other, whose loss rises with x or falls."""
    for _ in range(24):
        first_epoch(desk, sign=sign)
    return [trial.params["x"] for trial in desk.trials]


@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if sampler != "grid"])
def test_a_sampler_that_learns_from_trials_that_have_ended_learns_from_those_that_wait(desk_of, sampler):
    ending = {"pruner": "none", "pruner_options": {}, "max_epochs": 1}
    up, down = (proposals(desk_of(sampler, **ending), sign) for sign in (1, -1))
    learns = up != down
    up, down = (proposals(desk_of(sampler), sign) for sign in (1, -1))
    assert (up != down) == learns


def test_zoom_begins_a_round_when_trials_wait_and_counts_none_of_them_twice(desk_of):
    desk = desk_of("zoom", sampler_options={"round_trials": 4}, pruner_options={"trials": 6, "reduction_factor": 2})

    def width():
        side = desk.search.strategy._sampler._sides.get("x")
        return side.width if side else 1.0

    for _ in range(3):
        first_epoch(desk)
    assert width() == 1.0
    first_epoch(desk)
    assert width() == 0.5
    for _ in range(2):
        first_epoch(desk)
    while len(desk.trials) == 6:  # three go on; what they do later begins no round
        assignment = desk.start()
        if assignment.from_epoch:
            desk.report(assignment.trial, 2, 0.5)
            if desk.trials[assignment.trial].action is Action.PAUSE:
                desk.pause(assignment.trial)
    assert width() == 0.5


def test_coordinate_search_refines_while_its_trials_wait(desk_of):
    desk = desk_of("coordinate", sampler_options={"startup_trials": 2, "values": 5, "resolutions": 2})
    for _ in range(2 + 5 + 4):
        first_epoch(desk)
    assert desk.search.strategy._sampler._descents[0].resolution == 1


def parents_of(desk):
    return [trial.number for trial in desk.search.strategy._sampler._parents]


def test_evolution_breeds_from_trials_that_wait_and_ranks_them_anew_when_they_go_on(desk_of):
    desk = desk_of(
        "evolution", sampler_options={"population": 2}, objective={"epoch": "last"},
        pruner_options={"trials": 4, "reduction_factor": 2},
    )  # fmt: skip
    for value in (0.5, 0.1, 0.2, 0.4):
        first_epoch(desk, value)
    assert parents_of(desk) == [1, 2]
    assert all(trial.state is TrialState.PAUSED for trial in desk.trials)
    assert go_on(desk, [0.9]) == 1  # its rung is now epoch 2
    assert go_on(desk, [0.3]) == 2
    assert parents_of(desk) == [2, 1]


def test_a_trial_that_fails_after_its_pause_has_no_further_children(desk_of):
    desk = desk_of("evolution", sampler_options={"population": 2}, pruner_options={"trials": 4, "reduction_factor": 2})
    for value in (0.5, 0.1, 0.2, 0.4):
        first_epoch(desk, value)
    assert go_on(desk, [nan], pauses=False) == 1
    desk.finish(1)
    assert parents_of(desk) == [2]


# -- TPE -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def states_seen(monkeypatch):
    """The states of the trials that Optuna's sampler sees at each proposal, those that it ignores left out."""
    seen = []

    class Spy(optuna.samplers.TPESampler):
        def sample_relative(self, study, trial, search_space):
            others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
            names = [other.state.name for other in others if other.state is not optuna.trial.TrialState.FAIL]
            seen.append(sorted(names))
            return super().sample_relative(study, trial, search_space)

    monkeypatch.setattr(optuna.samplers, "TPESampler", Spy)
    return seen


def test_tpe_leaves_out_what_waits_below_its_rung_and_sees_it_again_when_it_goes_on(desk_of, states_seen):
    desk = desk_of(
        "tpe", sampler_options={"startup_trials": 2}, pruner="asha-promote",
        pruner_options={"min_epochs": 1, "reduction_factor": 2},
    )  # fmt: skip
    desk.start()
    desk.report(0, 1, 0.5)
    desk.pause(0)
    desk.start()
    assert states_seen[-1] == ["COMPLETE"]
    desk.report(1, 1, 0.4)  # the better one of two goes on
    desk.report(1, 2, 0.4)
    desk.pause(1)
    for number in (2, 3):
        desk.start()
        desk.report(number, 1, 0.1 * number)
    assert [trial.epochs for trial in desk.trials] == [1, 2, 1, 1]
    desk.report(2, 2, 0.2)  # a second one at epoch 2: the model moves up
    desk.start()
    # Trials 1 and 2 are there, trial 3 is under way or waits, trial 0 waits at epoch 1.
    assert states_seen[-1].count("COMPLETE") == 2
    waiting = [trial for trial in desk.trials[:4] if trial.state is TrialState.PAUSED and trial.epochs < 2]
    running = [trial for trial in desk.trials[:4] if not trial.state.is_resting and trial.epochs < 2]
    assert waiting
    assert states_seen[-1].count("RUNNING") == len(running)
