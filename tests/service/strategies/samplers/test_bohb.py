"""BOHB: Hyperband's brackets, a model of the largest rung, and some trials drawn at random."""

from math import nan
from statistics import median

import optuna
import pytest

from bandstand.trials.events import TrialState
from bandstand_spaces import Float, SearchSpace

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

LINE = SearchSpace({"x": Float(0.0, 1.0)})
PLANE = SearchSpace({"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0)})


@pytest.fixture
def lessons(monkeypatch):
    """The states and values that Optuna's sampler sees at each proposal by the model, and its settings."""
    seen = []

    class Spy(optuna.samplers.TPESampler):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.settings = settings

        def sample_relative(self, study, trial, search_space):
            others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
            known = [(other.state.name, other.value) for other in others if other.state.name != "FAIL"]
            seen.append((known, self.settings))
            return super().sample_relative(study, trial, search_space)

    monkeypatch.setattr(optuna.samplers, "TPESampler", Spy)
    return seen


def bohb(spec_with, **changes):
    return spec_with(**{"sampler": "bohb", "pruner": "", "space": LINE} | changes)


def history_of(cluster_of, spec, **options):
    return cluster_of(spec, **options).run().history


def test_brackets_fill_by_quota_and_promote_as_hyperband_s_do(spec_with, cluster_of):
    all_random = {"random_fraction": 1.0, "min_epochs": 1, "reduction_factor": 3}
    ours = history_of(cluster_of, bohb(spec_with, sampler_options=all_random, budget={"epochs": 120}), workers=3)
    theirs = history_of(
        cluster_of, spec_with(sampler="random", pruner="hyperband", space=LINE, budget={"epochs": 120}), workers=3
    )
    # Of a round with 9, 3 and 3 trials that start with 1, 3 and 9 epochs.
    assert [trial.bracket for trial in ours.trials[:10]] == [0, 1, 2, 0, 0, 0, 1, 2, 0, 0]
    assert [(dict(it.params), it.bracket, it.values, it.state, it.reason) for it in ours.trials] == [
        (dict(it.params), it.bracket, it.values, it.state, it.reason) for it in theirs.trials
    ]


def test_min_epochs_and_reduction_factor_say_where_trials_ask(desk_with):
    desk = desk_with(
        sampler="bohb", pruner="", sampler_options={"min_epochs": 2, "reduction_factor": 2}, max_epochs=8,
        budget={"epochs": 200},
    )  # fmt: skip
    assert [desk.start().until_epoch for _ in range(3)] == [2, 4, 8]


def test_the_model_sees_the_largest_rung_that_parameters_and_three_trials_have_reached(desk_with, lessons):
    desk = desk_with(
        sampler="bohb", pruner="", sampler_options={"random_fraction": 0.0}, space=LINE, max_epochs=3,
        budget={"trials": 40},
    )  # fmt: skip
    started = [desk.start() for _ in range(12)]
    short = [it.trial for it in started if it.until_epoch == 1]
    long = [it.trial for it in started if it.until_epoch == 3]
    for trial in short[:3]:
        desk.report(trial, 1, 1.0)
    for trial in long[:3]:
        for epoch in (1, 2, 3):
            desk.report(trial, epoch, epoch / 10)
        desk.finish(trial)
    desk.report(short[3], 1, float("nan"))
    desk.finish(short[3])
    desk.start()
    known, settings = lessons[-1]
    # Three have a value at epoch 3, one fewer than 1 parameter + 3; at epoch 1 all six have. What failed is worse.
    complete = sorted(value for state, value in known if state == "COMPLETE")
    assert complete == [0.1, 0.1, 0.1, 1.0, 1.0, 1.0]
    assert [state for state, _ in known].count("PRUNED") == 1
    assert (settings["n_startup_trials"], settings["n_ei_candidates"]) == (4, 64)
    for epoch in (1, 2, 3):
        desk.report(long[3], epoch, epoch / 10)
    desk.finish(long[3])
    desk.start()
    known, _ = lessons[-1]
    assert [value for state, value in known if state == "COMPLETE"] == [0.3] * 4


def test_a_third_of_the_trials_is_drawn_at_random(spec_with, cluster_of, lessons):
    history = history_of(cluster_of, bohb(spec_with, max_epochs=1, budget={"trials": 150}))
    assert len(history.trials) - len(lessons) == 54  # 50 expected, 6 the standard deviation
    lessons.clear()
    history_of(cluster_of, bohb(spec_with, sampler_options={"random_fraction": 0.0}, max_epochs=1))
    assert len(lessons) == 60


def test_trials_are_random_until_a_rung_has_as_many_as_the_option_says(spec_with, cluster_of):
    def proposals(slope):
        options = {"startup_trials": 7, "random_fraction": 0.0}
        spec = bohb(spec_with, sampler_options=options, max_epochs=1, budget={"trials": 9})
        history = history_of(cluster_of, spec, curve=lambda params, _: slope * params["x"])
        return [trial.params["x"] for trial in history.trials]

    up, down = proposals(1), proposals(-1)
    assert up[:7] == down[:7]
    assert up[7] != down[7]


def test_what_is_good_at_the_last_rung_wins_over_what_was_good_at_the_first(spec_with, cluster_of):
    spec = bohb(spec_with, sampler_options={"random_fraction": 0.0}, budget={"epochs": 400})
    history = history_of(cluster_of, spec, curve=lambda params, epoch: -params["x"] if epoch == 1 else params["x"])
    assert median(trial.params["x"] for trial in history.trials[-40:]) < 0.3


def test_it_beats_random_hyperband_at_the_same_budget(spec_with, cluster_of):
    def best(seed, **settings):
        spec = spec_with(space=PLANE, max_epochs=9, budget={"epochs": 300}, seed=seed, **settings)
        distance = lambda params: (params["x"] - 0.3) ** 2 + (params["y"] + 0.4) ** 2  # noqa: E731
        history = history_of(cluster_of, spec, curve=lambda params, epoch: distance(params) + 1 / epoch)
        return distance(history.best.params)

    seeds = range(9)
    random = median(best(seed, sampler="random", pruner="hyperband") for seed in seeds)
    assert median(best(seed, sampler="bohb", pruner="") for seed in seeds) < 0.75 * random


def test_it_leaves_a_region_where_trials_diverge(spec_with, cluster_of):
    spec = bohb(spec_with, sampler_options={"random_fraction": 0.0}, max_epochs=1, budget={"trials": 60})
    history = history_of(cluster_of, spec, curve=lambda params, _: nan if params["x"] < 0.5 else 1.0)
    failed = [trial.state is TrialState.FAILED for trial in history.trials[30:]]
    assert sum(failed) <= 9  # 15 by chance


def test_a_budget_too_small_for_a_round_is_said(desk_with):
    desk = desk_with(sampler="bohb", pruner="", budget={"epochs": 20})
    desk.search.begin()
    assert "20 of 63 epochs" in desk.search.take_events()[0].message


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sampler_options": {"min_epochs": 10}}, "min_epochs of sampler bohb must be at most max_epochs; got 10"),
        ({"sampler_options": {"random_fraction": 2}}, "random_fraction of sampler bohb must be less than or equal"),
        (
            {"sampler_options": {"eta": 3}},
            "options of sampler bohb may be min_epochs, reduction_factor, random_fraction, startup_trials; got 'eta'",
        ),
        ({"pruner": "hyperband"}, "pruner must be left out with sampler bohb, which decides by itself"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_rule(spec_with, changes, line):
    with pytest.raises(ValueError, match=line):
        bohb(spec_with, **changes)
