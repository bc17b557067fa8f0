"""What several samplers must be able to do, each as well as can be asked of it."""

from collections import Counter
from math import nan
from statistics import median

import pytest

from bandstand_spaces import Float, SearchSpace
from tests.service.strategies.samplers.landscapes import LANDSCAPES, MIXED, mixed

LINE = SearchSpace({"x": Float(0.0, 1.0)})
PLANE = SearchSpace({"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0)})


def median_bests(one_epoch_study, sampler, seeds, *problem, **settings):
    """The median best value over some seeds, of the sampler and of random search."""

    def best(name, seed):
        history = one_epoch_study(name, *problem, seed=seed, **settings)
        return history.value_of(history.best)

    return median(best(sampler, seed) for seed in range(seeds)), median(best("random", seed) for seed in range(seeds))


@pytest.mark.parametrize(
    ("sampler", "seeds", "share"), [("zoom", 11, 0.05), ("coordinate", 11, 0.05), ("tpe", 7, 0.3)], ids=str
)
def test_it_beats_random_search_on_a_quadratic(one_epoch_study, sampler, seeds, share):
    def curve(params, _):
        return (params["x"] - 0.3) ** 2 + (params["y"] + 0.4) ** 2

    mine, random = median_bests(one_epoch_study, sampler, seeds, PLANE, curve, trials=60)
    assert mine < share * random


@pytest.mark.parametrize("landscape", LANDSCAPES)
@pytest.mark.parametrize("sampler", ["cmaes", "evolution"])
def test_it_beats_random_search(one_epoch_study, sampler, landscape):
    mine, random = median_bests(one_epoch_study, sampler, 11, *LANDSCAPES[landscape], trials=120)
    assert mine < 0.6 * random


@pytest.mark.parametrize(("sampler", "trials"), [("cmaes", 200), ("evolution", 300)])
def test_many_workers_find_more_than_random_search_too(one_epoch_study, sampler, trials):
    mine, random = median_bests(one_epoch_study, sampler, 11, *LANDSCAPES["sphere"], trials=trials, workers=64)
    assert mine < 0.6 * random


@pytest.mark.parametrize(("direction", "lowest", "highest"), [("maximize", 0.8, 1.0), ("minimize", 0.0, 0.2)])
@pytest.mark.parametrize("sampler", ["cmaes", "evolution"])
def test_it_follows_the_direction_of_the_objective(one_epoch_study, sampler, direction, lowest, highest):
    objective = {"direction": direction}
    history = one_epoch_study(sampler, LINE, lambda params, _: params["x"], trials=60, objective=objective)
    assert lowest <= median(trial.params["x"] for trial in history.trials[40:]) <= highest


@pytest.mark.parametrize(("sampler", "distance"), [("cmaes", 0.1), ("evolution", 0.15)])
def test_it_learns_which_choices_are_right_and_the_parameter_below_one_of_them(one_epoch_study, sampler, distance):
    last = one_epoch_study(sampler, MIXED, mixed, trials=200).trials[-50:]
    assert Counter(trial.params["optimizer"] for trial in last)["sgd"] >= 35
    assert Counter(trial.params["layers"] for trial in last)[3] >= 35
    momenta = [trial.params["momentum"] for trial in last if "momentum" in trial.params]
    assert abs(median(momenta) - 0.3) < distance


@pytest.mark.parametrize("sampler", ["cmaes", "evolution"])
def test_no_worker_waits_for_a_generation_or_for_parents(desk_with, sampler):
    desk = desk_with(sampler=sampler, space=MIXED, budget={"trials": 200})
    desk.start(200)
    assert len({str(trial.params) for trial in desk.trials}) == 200


@pytest.mark.parametrize(("sampler", "options"), [("cmaes", {}), ("evolution", {"population": 5})])
def test_it_visits_a_small_space_before_it_visits_many_points_twice(
    one_epoch_study, curve, small_space, sampler, options
):
    history = one_epoch_study(sampler, small_space, curve, trials=small_space.size, sampler_options=options)
    assert len({str(trial.params) for trial in history.trials}) >= 0.9 * small_space.size


# Random search has 15 of the last 30 there; were those that failed not seen, all 30 would be.
@pytest.mark.parametrize("sampler", ["cmaes", "tpe"])
def test_it_leaves_a_region_where_trials_diverge(one_epoch_study, sampler):
    history = one_epoch_study(sampler, LINE, lambda params, _: nan if params["x"] < 0.5 else 1.0, trials=60)
    assert sum(trial.params["x"] < 0.5 for trial in history.trials[30:]) <= 9


@pytest.mark.parametrize("sampler", ["cmaes", "tpe"])
def test_it_leaves_a_region_where_models_do_not_fit_into_memory(desk_with, sampler):
    desk = desk_with(sampler=sampler, space=LINE, max_epochs=1, budget={"trials": 60})
    for number in range(60):
        if desk.start().params["x"] < 0.5:
            desk.fail(number, "out_of_memory")
        else:
            desk.report(number, 1, 1.0)
            desk.finish(number)
    assert sum(trial.params["x"] < 0.5 for trial in desk.trials[30:]) <= 9
