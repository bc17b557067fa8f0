"""UMDA mixes the values of the best trials at a rung, parameter by parameter, and draws half of its trials anew."""

from functools import partial
from math import log10, nan
from statistics import median

import pytest

from bandstand.trials.events import Action
from bandstand_spaces import Categorical, Float, Int, SearchSpace
from tests.service.strategies.samplers.landscapes import LANDSCAPES, MIXED

LINE = SearchSpace({"x": Float(0.0, 1.0)})
LETTERS = SearchSpace({name: Float(0.0, 1.0) for name in "abcdef"})
ONLY_ELITES = {"random_fraction": 0, "mutation": 0, "jitter": 0}


@pytest.fixture
def study_of(one_epoch_study):
    """The history of a study of one-epoch trials."""
    return partial(one_epoch_study, "umda")


def distance(params, _epoch):
    return sum((value - 0.3) ** 2 for value in params.values())


def test_each_parameter_has_the_value_of_one_of_the_best_trials(study_of):
    trials = study_of(LETTERS, distance, trials=30, sampler_options=ONLY_ELITES).trials
    for child in trials[8:]:  # so many must stand at a rung
        before = sorted(trials[: child.number], key=lambda trial: trial.values[0])
        elites = before[: max(4, -(-len(before) // 3))]
        for name in "abcdef":
            assert child.params[name] in {elite.params[name] for elite in elites}


def test_a_child_has_values_of_several_parents(study_of):
    trials = study_of(LETTERS, distance, trials=30, sampler_options=ONLY_ELITES).trials
    first = {name: {trial.params[name]: trial.number for trial in trials[:8]} for name in "abcdef"}
    parents = [{first[name][child.params[name]] for name in "abcdef"} for child in trials[8:]]
    assert median(len(each) for each in parents) >= 2


def test_no_more_than_twenty_are_elites_however_long_a_study_is(study_of):
    trials = study_of(
        LINE, lambda params, _: params["x"], trials=160, sampler_options=ONLY_ELITES | {"mutation": 0.5}
    ).trials
    for child in trials[100:]:
        best = sorted(trial.params["x"] for trial in trials[: child.number])[:20]
        known = {trial.params["x"] for trial in trials[: child.number]}
        assert child.params["x"] in best or child.params["x"] not in known


def test_half_of_the_trials_are_those_of_random_search(study_of, one_epoch_study):
    mine = [trial.params for trial in study_of(LETTERS, distance, trials=200).trials]
    random = [trial.params for trial in one_epoch_study("random", LETTERS, distance, trials=200).trials]
    assert mine[:8] == random[:8]
    assert 80 <= sum(one == other for one, other in zip(mine, random, strict=True)) <= 125


def test_with_a_random_fraction_of_one_it_is_random_search(study_of, one_epoch_study):
    mine = study_of(LETTERS, distance, trials=40, sampler_options={"random_fraction": 1}).trials
    random = one_epoch_study("random", LETTERS, distance, trials=40).trials
    assert [trial.params for trial in mine] == [trial.params for trial in random]


def test_a_number_is_jittered_on_its_own_scale(study_of):
    space = SearchSpace({"rate": Float(1e-6, 1.0, log=True)})
    options = {"random_fraction": 0, "mutation": 0, "jitter": 0.02}
    trials = study_of(space, lambda params, _: params["rate"], trials=100, sampler_options=options).trials
    drawn = [log10(trial.params["rate"]) for trial in trials]
    steps = [min(abs(drawn[child] - before) for before in drawn[:child]) for child in range(8, 100)]
    assert all(0 < step < 0.6 for step in steps)
    assert min(drawn) < -5.9  # where the best is


def test_where_the_best_lie_near_an_end_the_end_itself_is_tried(study_of):
    space = SearchSpace({"rate": Float(1e-6, 1.0, log=True), "size": Float(0.0, 0.7)})
    trials = study_of(space, lambda params, _: log10(params["rate"]) - params["size"], trials=60).trials
    assert 1e-6 in {trial.params["rate"] for trial in trials}
    assert 0.7 in {trial.params["size"] for trial in trials}


def test_where_the_best_lie_inside_the_ends_are_hardly_tried(study_of):
    trials = study_of(LETTERS, lambda params, _: sum((v - 0.5) ** 2 for v in params.values()), trials=100).trials
    values = [value for trial in trials for value in trial.params.values()]
    assert sum(value in (0.0, 1.0) for value in values) < len(values) / 50


def test_a_choice_of_the_best_is_drawn_most_often_and_no_other_is_lost(study_of):
    space = SearchSpace({"kind": Categorical(["a", "b", "c", "d"]), "x": Float(0.0, 1.0)})
    trials = study_of(space, lambda params, _: (params["kind"] != "b") + params["x"], trials=300).trials[100:]
    kinds = [trial.params["kind"] for trial in trials]
    assert kinds.count("b") > 0.5 * len(kinds)
    assert set(kinds) == {"a", "b", "c", "d"}


def test_a_parameter_below_a_choice_comes_from_the_best_that_have_it(study_of):
    space = SearchSpace({"kind": Categorical(["a", "b"], branches={"b": {"below": Float(0.0, 1.0)}})})

    def loss(params, _epoch):
        return abs(params.get("below", 2.0) - 0.4)

    trials = study_of(space, loss, trials=80, sampler_options={"random_fraction": 0, "mutation": 0.3}).trials[50:]
    below = [trial.params["below"] for trial in trials if "below" in trial.params]
    assert len(below) > 15
    assert median(abs(value - 0.4) for value in below) < 0.15


def test_failed_trials_are_no_elites(study_of):
    trials = study_of(
        LINE, lambda params, _: nan if params["x"] < 0.5 else 1.0, trials=80, sampler_options=ONLY_ELITES
    ).trials
    assert all(trial.params["x"] >= 0.5 for trial in trials[25:])


def test_a_trial_that_fails_after_a_rung_is_an_elite_no_more(desk_with):
    desk = desk_with(
        sampler="umda", sampler_options=ONLY_ELITES, space=LINE, pruner="asha", pruner_options={"min_epochs": 1},
        budget={"epochs": 400},
    )  # fmt: skip
    for number in range(8):
        desk.start()
        if desk.report(number, 1, 0.1 * number).action is Action.STOP:
            desk.finish(number)
    best = desk.trials[0].params["x"]
    assert best in {desk.start().params["x"] for _ in range(12)}
    desk.fail(0, "out_of_memory")
    assert best not in {desk.start().params["x"] for _ in range(12)}


def test_trials_are_compared_at_the_largest_rung_that_enough_have_reached(desk_with):
    desk = desk_with(
        sampler="umda", sampler_options=ONLY_ELITES | {"elite_fraction": 0.01}, space=LINE, pruner="asha",
        budget={"epochs": 400},
    )  # fmt: skip
    for number in range(8):
        desk.start()
        verdict = desk.report(number, 1, 1.0 - 0.1 * number)  # each is the best so far, and goes on
        assert verdict.action is Action.CONTINUE
        if number < 7:
            desk.report(number, 2, 0.5)
    first, last = ({trial.params["x"] for trial in part} for part in (desk.trials[:4], desk.trials[4:8]))
    for number in range(7):
        desk.report(number, 3, 0.1 * number)
    assert {desk.start().params["x"] for _ in range(12)} == last
    desk.report(7, 2, 0.5)
    desk.report(7, 3, 0.9)
    assert {desk.start().params["x"] for _ in range(12)} == first


def test_no_worker_waits_for_elites(desk_with):
    desk = desk_with(sampler="umda", space=MIXED, budget={"trials": 200})
    desk.start(200)
    assert len({str(trial.params) for trial in desk.trials}) == 200


def test_points_of_a_finite_space_repeat_only_when_none_is_left(study_of):
    space = SearchSpace({"layers": Int(1, 4), "kind": Categorical(["a", "b", "c"])})
    trials = study_of(space, lambda params, _: abs(params["layers"] - 2), trials=14).trials
    assert len({str(trial.params) for trial in trials[:12]}) == 12


@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_at_equal_trials_it_finds_better_than_random_search(study_of, one_epoch_study, landscape):
    def best(study, seed):
        history = study(*LANDSCAPES[landscape], trials=120, seed=seed)
        return history.value_of(history.best)

    mine = median(best(study_of, seed) for seed in range(11))
    random = median(best(partial(one_epoch_study, "random"), seed) for seed in range(11))
    assert mine < 0.8 * random
