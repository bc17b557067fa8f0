"""The grid's resolution: how many values of each number, and which."""

import pytest

from bandstand.strategies import make_strategy
from bandstand.strategies.points.grid_points import grid_of, points_per_parameter
from bandstand_spaces import Categorical, Float, Int, SearchSpace

SPACE = SearchSpace(
    {
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "units": Int(16, 256, step=16),
        "optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.0, 0.9)}}),
    }
)


@pytest.fixture
def grid(spec_with):
    def make(points, space=SPACE, budget=None, max_epochs=10):
        return spec_with(
            sampler="grid", sampler_options={} if points is None else {"points": points}, space=space,
            budget=budget or {"epochs": 500}, max_epochs=max_epochs, pruner="none",
        )  # fmt: skip

    return make


def values_of(spec, name):
    return list(next(parameter.grid() for found, parameter, _ in grid_of(spec).flat() if found == name))


def test_one_count_for_all_is_spread_evenly_on_each_scale_with_both_ends(grid):
    spec = grid(4)
    assert values_of(spec, "learning_rate") == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert values_of(spec, "units") == [16, 96, 176, 256]
    assert values_of(spec, "momentum") == pytest.approx([0.0, 0.3, 0.6, 0.9])
    assert values_of(spec, "optimizer") == ["sgd", "adam"]
    assert grid_of(spec).size == 4 * 4 * (4 + 1)


@pytest.mark.parametrize("points", [1, 2, 3, 4, 7, 50])
def test_every_point_of_the_grid_is_one_of_the_space(grid, points):
    spec = grid({"learning_rate": points, "units": points, "momentum": 2})
    for params in grid_of(spec).grid():
        spec.space.check(params)


def test_a_single_value_is_in_the_middle_of_the_scale(grid):
    spec = grid(1)
    assert values_of(spec, "learning_rate") == pytest.approx([10**-2.5])
    assert values_of(spec, "momentum") == pytest.approx([0.45])


def test_no_value_is_there_twice(grid):
    spec = grid(9, SearchSpace({"layers": Int(1, 3), "units": Int(1, 12, log=True), "rate": Float(0, 1, step=0.25)}))
    assert points_per_parameter(spec) == {"layers": 3, "units": 7, "rate": 5}
    assert values_of(spec, "units") == [1, 2, 3, 5, 6, 9, 12]


@pytest.mark.parametrize(
    ("budget", "size", "points"),
    [
        ({"epochs": 109}, 8, {"learning_rate": 2, "units": 2, "optimizer": 2, "momentum": 1}),
        ({"epochs": 120}, 12, {"learning_rate": 2, "units": 2, "optimizer": 2, "momentum": 2}),
        ({"trials": 27}, 27, {"learning_rate": 3, "units": 3, "optimizer": 2, "momentum": 2}),
        ({"epochs": 500, "trials": 12}, 12, {"learning_rate": 2, "units": 2, "optimizer": 2, "momentum": 2}),
    ],
)
def test_auto_is_the_finest_grid_whose_every_point_the_budget_can_train(grid, budget, size, points):
    spec = grid("auto", budget=budget)
    assert points_per_parameter(spec) == points
    assert grid_of(spec).size == size


def test_auto_keeps_all_choices_even_where_they_are_too_many(grid):
    assert grid_of(grid("auto", budget={"trials": 1})).size == 2


@pytest.mark.parametrize(
    ("budget", "pruner", "notice"),
    [
        ({"epochs": 15}, "none", "2 points, and the budget trains 1 of them in full. All of them take 20 epochs"),
        ({"epochs": 5}, "none", "2 points, and the budget trains none of them in full. All of them take 20 epochs"),
        (
            {"epochs": 500, "trials": 1},
            "none",
            "2 points, and the budget trains 1 of them in full. All of them take 2 trials",
        ),
        ({"epochs": 5, "trials": 1}, "none", "trains none of them in full. All of them take 20 epochs and 2 trials"),
        ({"epochs": 15}, "asha", "take 20 epochs. Pruner asha may stop some early, so that others are tried"),
    ],
)
def test_a_study_says_how_much_of_a_grid_its_budget_trains(grid, budget, pruner, notice):
    (said,) = make_strategy(grid("auto", budget=budget).model_copy(update={"pruner": pruner})).notices()
    assert said.startswith("grid search has 2 points, and the budget trains ")
    assert said.endswith(notice)


@pytest.mark.parametrize("budget", [{"epochs": 20}, {"trials": 2}, {"epochs": 109}, {"wall_seconds": 5}])
def test_a_study_whose_budget_trains_the_whole_grid_says_nothing(grid, budget):
    assert make_strategy(grid("auto", budget=budget)).notices() == []


def test_auto_under_a_budget_of_time_has_five_values_of_each_number(grid):
    assert points_per_parameter(grid("auto", budget={"wall_seconds": 60})) == {
        "learning_rate": 5, "units": 5, "optimizer": 2, "momentum": 5,
    }  # fmt: skip


def test_a_study_visits_the_thinned_grid_and_ends(grid, cluster_of):
    spec = grid(2, max_epochs=2)
    history = cluster_of(spec, workers=3).run().history
    assert sorted(str(dict(trial.params)) for trial in history.trials) == sorted(map(str, grid_of(spec).grid()))
    assert history.ended.reason == "every point of the grid was visited"


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (0, "option points of sampler grid must be"),
        ("fine", "option points of sampler grid must be"),
        ({"lerning_rate": 3}, "may name numeric parameters (learning_rate, units, momentum); got 'lerning_rate'"),
        ({"units": 3}, "parameter learning_rate is continuous: give it a step, set option points"),
        (None, "parameter learning_rate is continuous: give it a step, set option points"),
    ],
)
def test_what_gives_no_grid_is_refused_with_the_way_out(grid, points, message):
    with pytest.raises(ValueError, match=message):
        grid(points)
