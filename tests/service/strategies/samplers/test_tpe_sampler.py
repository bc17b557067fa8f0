"""TPE: better than chance, fitted on values of one epoch, and always within the space."""

from math import nan
from statistics import median

import optuna
import pytest

from bandstand_spaces import Float, SearchSpace

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

PLANE = SearchSpace({"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0)})
LINE = SearchSpace({"x": Float(0.0, 1.0)})


@pytest.fixture
def lessons(monkeypatch):
    """What Optuna's sampler sees at each proposal: the trials of its study, the one being asked for left out."""
    seen = []

    class Spy(optuna.samplers.TPESampler):
        def sample_relative(self, study, trial, search_space):
            states = (optuna.trial.TrialState.FAIL,)
            others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
            seen.append([other for other in others if other.state not in states])
            return super().sample_relative(study, trial, search_space)

    monkeypatch.setattr(optuna.samplers, "TPESampler", Spy)
    return seen


def states_of(lesson):
    return sorted(trial.state.name for trial in lesson)


def values_of(lesson):
    return [trial.value for trial in lesson if trial.state is optuna.trial.TrialState.COMPLETE]


def test_it_follows_the_direction_of_the_objective(spec_with, cluster_of):
    spec = spec_with(
        sampler="tpe", space=LINE, max_epochs=1, budget={"trials": 50}, objective={"direction": "maximize"}
    )
    history = cluster_of(spec, curve=lambda params, _: params["x"]).run().history
    assert median(trial.params["x"] for trial in history.trials[20:]) > 0.8


def test_the_first_trials_are_drawn_at_random_as_many_as_the_option_says(spec_with, cluster_of):
    def proposals(slope):
        spec = spec_with(
            sampler="tpe", sampler_options={"startup_trials": 6}, space=LINE, max_epochs=1, budget={"trials": 8}
        )
        history = cluster_of(spec, curve=lambda params, _: slope * params["x"]).run().history
        return [trial.params["x"] for trial in history.trials]

    up, down = proposals(1), proposals(-1)
    assert up[:6] == down[:6]
    assert up[6] != down[6]


def test_it_learns_from_values_of_one_epoch_and_moves_up_when_enough_trials_got_there(spec_with, cluster_of, lessons):
    spec = spec_with(
        sampler="tpe", sampler_options={"startup_trials": 4}, space=LINE, pruner="asha", max_epochs=9,
        budget={"epochs": 200},
    )  # fmt: skip
    cluster_of(spec, workers=3, curve=lambda params, epoch: 100 * epoch + params["x"]).run()
    epochs_seen = []
    for lesson in lessons:
        epochs = {int(value // 100) for value in values_of(lesson)}
        assert len(epochs) <= 1, "values of different epochs were mixed"
        epochs_seen += sorted(epochs)
    assert epochs_seen == sorted(epochs_seen)
    assert set(epochs_seen) == {1, 3, 9}
    for epoch in (3, 9):
        first = next(values for values in map(values_of, lessons) if values and values[0] // 100 == epoch)
        assert len(first) >= 4


def test_trials_under_way_are_seen_as_running_and_stopped_ones_below_the_rung_not_at_all(desk_with, lessons):
    desk = desk_with(
        sampler="tpe", sampler_options={"startup_trials": 2}, space=LINE, pruner="asha", max_epochs=9,
        budget={"trials": 20},
    )  # fmt: skip
    desk.start(3)
    assert states_of(lessons[-1]) == ["RUNNING", "RUNNING"]
    for number in (0, 1):
        assert desk.report(number, 1, 1.0 - number).until_epoch == 3
    desk.report(2, 1, 5.0)
    desk.finish(2)  # pruned at the first rung
    desk.start()
    assert states_of(lessons[-1]) == ["COMPLETE"] * 3
    for number in (0, 1):
        desk.report(number, 2, 0.5)
        desk.report(number, 3, 0.3)
    desk.start()
    assert (states_of(lessons[-1]), values_of(lessons[-1])) == (["COMPLETE", "COMPLETE", "RUNNING"], [0.3, 0.3])


def test_a_trial_that_stopped_early_stands_for_itself_at_later_rungs(desk_with, lessons):
    desk = desk_with(
        sampler="tpe", sampler_options={"startup_trials": 2}, space=LINE, pruner="asha", max_epochs=9,
        budget={"trials": 20},
    )  # fmt: skip
    desk.start(2)
    desk.report(0, 1, 0.4)
    desk.report(0, 2, 0.25, ended="early_stopping")
    desk.finish(0)
    for epoch, value in enumerate([0.3, 0.2, 0.1], start=1):
        desk.report(1, epoch, value)
    desk.start()
    assert sorted(values_of(lessons[-1])) == [0.1, 0.25]


def test_failed_trials_are_worse_than_any_value_and_those_that_had_no_time_say_nothing(desk_with, lessons):
    desk = desk_with(sampler="tpe", space=LINE, max_epochs=2, budget={"trials": 20})
    desk.start(4)
    desk.report(0, 1, nan)
    desk.finish(0)
    desk.fail(1, "out_of_memory")
    desk.finish(2, "budget")
    desk.fail(3)
    desk.start()
    assert states_of(lessons[-1]) == ["PRUNED"] * 3
    assert [trial.value for trial in lessons[-1]] == [None] * 3


def test_the_model_of_a_long_study_sees_the_best_trials_and_the_latest(desk_with, lessons):
    options = {"startup_trials": 10_000, "most_trials": 100}  # drawn at random, which is quicker
    desk = desk_with(sampler="tpe", sampler_options=options, space=LINE, max_epochs=1, budget={"trials": 1000})
    values = []
    for number in range(420):
        values.append(desk.start().params["x"])
        if number % 10:
            desk.report(number, 1, values[-1])
            desk.finish(number)
        else:
            desk.fail(number)
        assert len(lessons[-1]) <= 150
    assert {"COMPLETE", "PRUNED"} == set(states_of(lessons[-1]))
    seen = [trial.params["x"] for trial in lessons[-1]]
    assert seen[-20:] == values[-21:-1]
    ended = [value for number, value in enumerate(values[:380]) if number % 10]
    assert set(sorted(ended)[:20]) <= set(seen)
    middling = sorted(ended)[len(ended) // 2 :]
    assert sum(value in seen for value in middling) < len(middling) / 2


def test_a_long_study_that_is_restored_goes_on_alike(desk_with):
    options = {"startup_trials": 3, "most_trials": 100}
    desk = desk_with(sampler="tpe", sampler_options=options, space=LINE, max_epochs=1, budget={"trials": 1000})
    for number in range(240):
        desk.report(number, 1, desk.start().params["x"])
        desk.finish(number)
    events = desk.search.take_events()
    copy = type(desk.search).restore(desk.search.spec, events)
    assert copy.next().params == desk.start().params
