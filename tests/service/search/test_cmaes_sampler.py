"""CMA-ES learns from generations of any trials that have ended, and keeps all of its state in the study's events."""

from collections import Counter
from itertools import pairwise
from math import log, log10, nan
from statistics import median

import pytest

from search_spaces import Categorical, Float, Int, SearchSpace
from service.events import Proposed
from service.history import Trial
from service.strategies import SAMPLERS
from tests.service.search.landscapes import LANDSCAPES, MIXED, ODD_SPACES, mixed

LINE = SearchSpace({"x": Float(0.0, 1.0)})


@pytest.fixture
def study_of(spec_with, cluster_of):
    """The history of a study of one-epoch trials."""

    def study(space, curve, *, trials=100, workers=1, **changes):
        spec = spec_with(
            **{"sampler": "cmaes", "space": space, "max_epochs": 1, "budget": {"trials": trials}} | changes
        )
        return cluster_of(spec, workers=workers, curve=curve).run().history

    return study


@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_it_beats_random_search(study_of, landscape):
    def best(sampler, seed):
        history = study_of(*LANDSCAPES[landscape], trials=120, seed=seed, sampler=sampler)
        return history.value_of(history.best)

    seeds = range(11)
    assert median(best("cmaes", seed) for seed in seeds) < 0.6 * median(best("random", seed) for seed in seeds)


def test_many_workers_find_more_than_random_search_too(study_of):
    def best(sampler, seed):
        history = study_of(*LANDSCAPES["sphere"], trials=200, workers=64, seed=seed, sampler=sampler)
        return history.value_of(history.best)

    seeds = range(11)
    assert median(best("cmaes", seed) for seed in seeds) < 0.6 * median(best("random", seed) for seed in seeds)


@pytest.mark.parametrize(("direction", "lowest", "highest"), [("maximize", 0.8, 1.0), ("minimize", 0.0, 0.2)])
def test_it_follows_the_direction_of_the_objective(study_of, direction, lowest, highest):
    history = study_of(LINE, lambda params, _: params["x"], trials=60, objective={"direction": direction})
    assert lowest <= median(trial.params["x"] for trial in history.trials[40:]) <= highest


def test_it_learns_which_choices_are_right_and_the_parameter_below_one_of_them(study_of):
    last = study_of(MIXED, mixed, trials=200).trials[-50:]
    assert Counter(trial.params["optimizer"] for trial in last)["sgd"] >= 35
    assert Counter(trial.params["layers"] for trial in last)[3] >= 35
    momenta = [trial.params["momentum"] for trial in last if "momentum" in trial.params]
    assert abs(median(momenta) - 0.3) < 0.1


def test_it_learns_choices_where_there_are_no_numbers(study_of):
    space = SearchSpace({name: Categorical(list("vwxyz")) for name in "abcdef"})
    history = study_of(space, lambda params, _: sum(value != "x" for value in params.values()), trials=150)
    assert history.value_of(history.best) <= 1


def test_no_choice_and_no_neighbour_of_a_stepped_value_ever_dies_out(study_of):
    space = SearchSpace({"choice": Categorical(["bad", "good"]), "steps": Int(0, 20), "x": Float(0.0, 1.0)})
    history = study_of(space, lambda params, _: (params["choice"] == "bad") + abs(params["steps"] - 17), trials=400)
    last = history.trials[-200:]
    assert 1 <= sum(trial.params["choice"] == "bad" for trial in last) <= 40
    steps = Counter(trial.params["steps"] for trial in last)
    assert steps.most_common(1)[0][0] == 17
    assert steps.keys() >= {16, 18}


def test_no_worker_waits_for_a_generation(desk_with):
    desk = desk_with(sampler="cmaes", space=MIXED, budget={"trials": 200})
    desk.start(200)
    assert len({str(trial.params) for trial in desk.trials}) == 200


def test_it_prefers_points_that_were_not_proposed_before(study_of, curve, small_space):
    history = study_of(small_space, curve, trials=small_space.size)
    assert len({str(trial.params) for trial in history.trials}) >= 0.9 * small_space.size


def test_it_leaves_a_region_where_trials_diverge(study_of):
    history = study_of(LINE, lambda params, _: nan if params["x"] < 0.5 else 1.0, trials=60)
    assert sum(trial.params["x"] < 0.5 for trial in history.trials[30:]) <= 9


def test_it_leaves_a_region_where_models_do_not_fit_into_memory(desk_with):
    desk = desk_with(sampler="cmaes", space=LINE, max_epochs=1, budget={"trials": 60})
    for number in range(60):
        if desk.start().params["x"] < 0.5:
            desk.fail(number, "out_of_memory")
        else:
            desk.report(number, 1, 1.0)
            desk.finish(number)
    assert sum(trial.params["x"] < 0.5 for trial in desk.trials[30:]) <= 9


def test_trials_that_had_no_time_say_nothing(desk_with):
    calm, cut = (desk_with(sampler="cmaes", space=LINE, budget={"trials": 60}) for _ in range(2))
    for desk in (calm, cut):
        desk.start(20)
    for number in range(20):
        cut.finish(number, "budget")
    assert cut.start().params == calm.start().params


def test_it_lives_with_values_that_are_all_the_same(study_of):
    history = study_of(MIXED, lambda *_: 0.5, trials=300, workers=3)
    for trial in history.trials:
        MIXED.check(trial.params)
    assert len({str(trial.params) for trial in history.trials[-100:]}) > 50


def test_it_starts_over_elsewhere_when_it_has_shrunk_to_a_point(study_of):
    history = study_of(LINE, lambda params, _: (params["x"] - 0.3) ** 2, trials=600)
    far = [trial.number for trial in history.trials if abs(trial.params["x"] - 0.3) > 0.1]
    assert any(later - earlier > 50 for earlier, later in pairwise(far))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_long_study_overflows_nothing(desk_with):
    numbers = {"a": Int(0, 20), "b": Int(1, 512, log=True), "c": Float(0.0, 1.0, step=0.05)}
    space = SearchSpace({**numbers, "d": Float(1e-5, 1e-1, log=True)})
    desk = desk_with(sampler="cmaes", space=space, max_epochs=1, budget={"trials": 2200}, seed=1)
    for number in range(2200):
        it = desk.start().params
        loss = (it["a"] - 17) ** 2 / 100 + log(it["b"] / 90) ** 2 + (it["c"] - 0.2) ** 2 + log10(it["d"] / 1e-2) ** 2
        desk.report(number, 1, loss)
        desk.finish(number)
    assert desk.search.history.best.params["a"] == 17


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_a_search_restored_at_any_event_goes_on_alike_in_a_space_of_every_kind(
    spec_with, cluster_of, lockstep_of, pruner
):
    spec = spec_with(sampler="cmaes", space=ODD_SPACES["many kinds"], pruner=pruner, budget={"trials": 40})
    lockstep = lockstep_of(spec)
    cluster = cluster_of(spec, workers=5, search=lockstep, diverge=0.02, stop_early=0.03, lose_worker=0.02)
    steps = iter(range(10**6))
    cluster.run(after_each_step=lambda _: next(steps) % 40 or lockstep.split())
    assert len(lockstep.history.trials) == 40


def test_a_change_of_a_last_digit_between_two_machines_changes_no_choice(spec_with):
    spec = spec_with(sampler="cmaes", space=MIXED, budget={"trials": 40})
    sampler = SAMPLERS["cmaes"].make(spec, (9,))
    params = dict(sampler.propose(0))
    params["rate"] *= 1 + 1e-15
    assert params != sampler.propose(0)
    sampler.observe(Proposed(trial=0, params=params, granted=9), Trial(number=0, params=params, bracket=0, granted=9))
    assert sampler.propose(1) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, "options of sampler cmaes may be population, sigma; got 'size'"),
        ({"population": 3}, "option population of sampler cmaes must be greater than or equal to 4; got 3"),
        ({"sigma": 0}, "option sigma of sampler cmaes must be greater than 0; got 0"),
    ],
)
def test_an_option_it_does_not_have_is_refused_by_name(spec_with, options, message):
    with pytest.raises(ValueError, match=message):
        spec_with(sampler="cmaes", sampler_options=options)


def test_the_population_says_after_how_many_trials_the_first_lesson_comes(study_of):
    def proposals(slope):
        options = {"population": 6}
        history = study_of(LINE, lambda params, _: slope * params["x"], trials=8, sampler_options=options)
        return [trial.params["x"] for trial in history.trials]

    up, down = proposals(1), proposals(-1)
    assert up[:6] == down[:6]
    assert up[6] != down[6]
