"""Zoom draws from a box that shrinks around the best trial, follows it over its border, and loses no choice."""

from math import log10
from statistics import median

import pytest

from bandstand_spaces import Categorical, Float, Int, SearchSpace

PLANE = SearchSpace({"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0)})
LINE = SearchSpace({"x": Float(0.0, 1.0)})
RATE = SearchSpace({"rate": Float(1e-6, 1.0, log=True)})
OPTIMIZER = SearchSpace(
    {"optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.0, 1.0)}}), "x": Float(0.0, 1.0)}
)


@pytest.fixture
def desk_of(desk_with):
    def make(space, **changes):
        settings = {"sampler": "zoom", "sampler_options": {"round_trials": 4}, "space": space, "max_epochs": 1}
        return desk_with(**settings | {"budget": {"trials": 2000}} | changes)

    return make


def play(desk, loss, count):
    """Train so many trials one after the other; their params."""
    seen = []
    for _ in range(count):
        assignment = desk.start()
        seen.append(dict(assignment.params))
        desk.report(assignment.trial, 1, loss(assignment.params))
        desk.finish(assignment.trial)
    return seen


def test_each_round_is_drawn_from_a_box_half_as_wide_around_the_best(desk_of):
    desk = desk_of(LINE)

    def loss(params):
        return abs(params["x"] - 0.5)

    first = play(desk, loss, 4)
    for width in (0.5, 0.25, 0.125):
        centre = min(first, key=loss)["x"]
        drawn = play(desk, loss, 4)
        assert all(abs(params["x"] - centre) <= width / 2 for params in drawn)
        first += drawn


def test_the_box_is_logarithmic_where_the_parameter_is(desk_of):
    desk = desk_of(RATE)
    drawn = play(desk, lambda params: abs(log10(params["rate"]) + 4), 20)[16:]
    assert all(1e-5 < params["rate"] < 1e-3 for params in drawn)


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_it_follows_the_direction_of_the_objective(desk_of, direction, sign):
    desk = desk_of(LINE, objective={"direction": direction})
    drawn = play(desk, lambda params: sign * abs(params["x"] - 0.7), 40)
    assert median(abs(params["x"] - 0.7) for params in drawn[20:]) < 0.05


def test_a_box_whose_border_has_the_best_moves_and_widens(desk_of):
    desk = desk_of(LINE)
    play(desk, lambda params: 1 + abs(params["x"] - 0.2), 16)
    small = [params["x"] for params in play(desk, lambda params: 1 - params["x"], 4)]
    assert max(small) < 0.4
    later = [params["x"] for params in play(desk, lambda params: 1 - params["x"], 60)]
    assert max(later) > 0.95


def test_a_box_that_cannot_shrink_and_brings_nothing_better_becomes_the_whole_space(desk_of):
    desk = desk_of(LINE, sampler_options={"round_trials": 4, "shrink": 0.1})
    play(desk, lambda params: abs(params["x"] - 0.5), 12)
    drawn = [params["x"] for params in play(desk, lambda params: 1.0, 24)]
    assert max(drawn) - min(drawn) > 0.5


def test_the_neighbours_of_the_best_number_stay_within_reach(desk_of):
    space = SearchSpace({"layers": Int(1, 5), "x": Float(0.0, 1.0)})
    desk = desk_of(space)
    drawn = play(desk, lambda params: abs(params["layers"] - 3) + abs(params["x"] - 0.5), 60)
    assert {params["layers"] for params in drawn[24:]} >= {2, 3, 4}


def test_the_best_choice_is_drawn_more_and_more_often_and_no_other_is_lost(desk_of):
    space = SearchSpace({"kind": Categorical(["a", "b", "c", "d"]), "x": Float(0.0, 1.0)})
    desk = desk_of(space, sampler_options={"round_trials": 50})
    drawn = play(desk, lambda params: (params["kind"] != "b") + params["x"], 300)
    shares = [sum(params["kind"] == "b" for params in drawn[start : start + 50]) / 50 for start in (0, 50, 150)]
    assert shares[0] < 0.45 < shares[1] < 0.8 < shares[2]
    assert {params["kind"] for params in drawn[150:]} == {"a", "b", "c", "d"}


def test_a_branch_that_the_best_does_not_have_is_drawn_from_all_its_values(desk_of):
    desk = desk_of(OPTIMIZER)
    drawn = play(desk, lambda params: (params["optimizer"] == "sgd") + abs(params["x"] - 0.5), 400)
    momenta = [params["momentum"] for params in drawn[40:] if "momentum" in params]
    assert min(momenta) < 0.2
    assert max(momenta) > 0.8


def test_a_branch_that_the_best_has_is_drawn_around_it(desk_of):
    desk = desk_of(OPTIMIZER, sampler_options={"round_trials": 8})

    def loss(params):
        return abs(params.get("momentum", 9) - 0.5) + abs(params["x"] - 0.5)

    momenta = [params["momentum"] for params in play(desk, loss, 40)[32:] if "momentum" in params]
    assert momenta
    assert all(abs(momentum - 0.5) < 0.25 for momentum in momenta)


def test_a_round_ends_with_its_own_trials_and_not_with_those_of_the_round_before(desk_of):
    desk = desk_of(LINE, seed=2)
    desk.start(12)
    for number in range(4):
        desk.report(number, 1, abs(desk.trials[number].params["x"] - 0.5))
        desk.finish(number)
    sampler = desk.search.strategy._sampler
    assert sampler._sides["x"].width == 0.5
    for number in range(4, 12):
        desk.report(number, 1, 1.0)
        desk.finish(number)
    assert sampler._sides["x"].width == 0.5
    play(desk, lambda params: 1.0, 4)
    assert sampler._sides["x"].width == 0.25


def test_before_anything_is_known_it_draws_as_random_search_does(desk_of, desk_with):
    zoom, random = desk_of(PLANE), desk_with(space=PLANE, budget={"trials": 64})
    zoom.start(64)
    random.start(64)
    assert [trial.params for trial in zoom.trials[:64]] == [trial.params for trial in random.trials]


def test_points_of_a_finite_space_repeat_only_when_none_is_left(desk_of):
    space = SearchSpace({"layers": Int(1, 4), "kind": Categorical(["a", "b", "c"])})
    desk = desk_of(space)
    drawn = play(desk, lambda params: abs(params["layers"] - 2), 14)
    assert len({str(params) for params in drawn[:12]}) == 12
