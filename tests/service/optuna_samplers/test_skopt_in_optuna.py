"""`SkoptSampler` in plain Optuna studies, held against Optuna's own suite for samplers."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from bandstand.optuna_samplers import SkoptSampler
from bandstand.optuna_samplers.skopt_sampler import _most_telling

SETTINGS = {
    "gp": {"model": "gp", "restarts": 0},
    "gp integrated": {"model": "gp", "hyperparameter_draws": 2},
    "gp_hedge": {"model": "gp", "restarts": 0, "acquisition": "gp_hedge"},
    "forest": {"model": "forest", "trees": 3},
    "extra_trees per second": {"model": "extra_trees", "trees": 3, "acquisition": "EIps"},
    "gbrt": {"model": "gbrt", "trees": 3},
    "gbrt per second": {"model": "gbrt", "trees": 3, "acquisition": "EIps"},
}
FAST = ("gp", "forest", "gbrt")


class TestOptunasSuiteForSamplers(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture(
        params=[name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS], ids=str
    )
    def sampler(self, request):
        return lambda: SkoptSampler(seed=0, startup_trials=2, candidates=20, **SETTINGS[request.param])


def test_every_kind_of_choice_comes_back_as_it_went_in():
    study = optuna.create_study(sampler=SkoptSampler("forest", startup_trials=3, trees=3, seed=0))
    choices = [None, False, 2, 2.5, "two"]
    study.optimize(lambda trial: choices.index(trial.suggest_categorical("a", choices)), n_trials=12)
    assert all(any(trial.params["a"] is choice for choice in choices) for trial in study.trials)
    assert len({repr(trial.params["a"]) for trial in study.trials[1:6]}) >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "gp", "restarts": 0},
        {"model": "forest", "trees": 20},
        {"model": "extra_trees", "trees": 20},
        {"model": "gbrt"},
    ],
    ids=lambda settings: settings["model"],
)
def test_improvement_per_second_prefers_what_is_quick_among_equals(settings):
    def quick_ones(acquisition, seed):
        sampler = SkoptSampler(
            acquisition=acquisition, seed=seed, startup_trials=5, candidates=200,
            seconds_of=lambda trial: 0.5 if trial.params["x"] < 0.5 else 50.0, **settings,
        )  # fmt: skip
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: abs(trial.suggest_float("x", 0, 1) % 0.5 - 0.2), n_trials=20)  # two equal valleys
        return sum(trial.params["x"] < 0.5 for trial in study.trials[8:])

    per_second, plain = (sum(quick_ones(acquisition, seed) for seed in range(4)) for acquisition in ("EIps", "EI"))
    assert per_second >= plain + 5, "of 48 proposals"


def test_the_conditions_of_a_space_may_be_told():
    space = {
        "kind": CategoricalDistribution(["a", "b"]),
        "depth": IntDistribution(1, 2),
        "rate": FloatDistribution(0.5, 0.6, step=0.1),
    }
    sampler = SkoptSampler(
        space=space, conditions={"depth": [("kind", "a")], "rate": [("kind", "b")]}, startup_trials=2, seed=1
    )
    study = optuna.create_study(sampler=sampler)

    def objective(trial):
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return trial.suggest_int("depth", 1, 2)
        return trial.suggest_float("rate", 0.5, 0.6, step=0.1)

    study.optimize(objective, n_trials=4)
    assert len({str(trial.params) for trial in study.trials}) == 4


def test_a_sampler_made_anew_for_each_trial_proposes_as_one_that_lives_on_does():
    def points(seeds):
        study = optuna.create_study()
        for seed in seeds:
            study.sampler = SkoptSampler("gp", startup_trials=2, seed=seed, restarts=0)
            study.optimize(lambda trial: (trial.suggest_float("x", 0, 1) - 0.3) ** 2, n_trials=1)
        return [trial.params["x"] for trial in study.trials]

    assert points(range(6)) == points(range(6))


def test_the_best_half_and_the_latest_of_the_others_are_fitted():
    told = [(number, float(abs(number - 4))) for number in range(20)]
    assert [number for number, _ in _most_telling(told, 6)] == [3, 4, 5, 17, 18, 19]
    assert _most_telling(told, 20) == told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "svm"}, "model must be one of gp, forest, extra_trees, gbrt; got 'svm'"),
        ({"acquisition": "UCB"}, "acquisition of model gp must be one of EI, PI, LCB, EIps, gp_hedge; got 'UCB'"),
        (
            {"model": "gbrt", "acquisition": "gp_hedge"},
            "acquisition of model gbrt must be one of EI, PI, LCB, EIps; got 'gp_hedge'",
        ),
        ({"model": "gbrt", "hyperparameter_draws": 3}, "hyperparameter_draws needs model gp"),
    ],
)
def test_settings_that_do_not_exist_or_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SkoptSampler(**options)


def test_a_study_of_two_objectives_is_refused_with_a_way_out():
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=SkoptSampler())
    with pytest.raises(ValueError, match="a study must have one objective for SkoptSampler; got 2"):
        study.ask({"x": FloatDistribution(0, 1)})
