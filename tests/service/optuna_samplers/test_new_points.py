"""No point twice while others are left, also where random draws find none of those that are."""

import time
from statistics import median

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from bandstand.optuna_samplers import Box, SkoptSampler, Visited
from bandstand_spaces import Float, Int, SearchSpace
from tests.service.strategies.finite_spaces.finite_spaces import FINITE_SPACES, chain

MODELS = ("gp", "forest", "extra_trees", "gbrt")


def visited_in(space, points=(), *, told=True):
    """What was visited of a space, nothing as yet, as a sampler has it that is told the conditions, or is not."""
    conditions = {name: condition for name, _, condition in space.flat()} if told else None
    return Visited(points, Box(space.distributions(), conditions))


def as_asked_for(space, params):
    """The point that a trial gets of params of which some may not apply."""
    return space.params_by(lambda name, _: params[name])


def exhausted(space, visited):
    """The points that are given out one after the other, as many as the space has."""
    rng = np.random.default_rng(1)
    points = []
    for _ in range(space.size):
        points.append(as_asked_for(space, visited.new_point(rng)))
        visited.add(points[-1])
    return points


@pytest.mark.parametrize("told", [True, False], ids=["conditions told", "conditions not told"])
@pytest.mark.parametrize("shape", FINITE_SPACES)
def test_every_point_of_a_finite_space_is_given_out_once_and_then_any(shape, told):
    space = FINITE_SPACES[shape]
    visited = visited_in(space, told=told)
    points = exhausted(space, visited)
    for point in points:
        space.check(point)
    assert len({str(sorted(point.items())) for point in points}) == space.size
    space.check(as_asked_for(space, visited.new_point(np.random.default_rng(2))))


def test_a_trial_with_other_values_or_names_than_the_space_has_uses_up_nothing():
    space = SearchSpace({"a": Int(1, 2), "b": Float(0.0, 0.1, step=0.1)})
    strangers = [{"a": 3, "b": 0.1}, {"a": 1, "b": 0.04}, {"c": 1}, {}]
    assert len({str(point) for point in exhausted(space, visited_in(space, strangers))}) == 4


def test_a_trial_that_has_only_some_of_the_params_uses_up_whatever_the_others_are():
    space = SearchSpace({"a": Int(1, 2), "b": Int(1, 2), "c": Int(1, 30)})
    visited = visited_in(space, [{"a": 1, "b": 1}, {"b": 2}, {"a": 2, "c": 1}])
    left = [{"a": 2, "b": 1, "c": c} for c in range(2, 31)]
    given = []
    for _ in left:
        given.append(visited.new_point(np.random.default_rng(len(given))))
        visited.add(given[-1])
    assert sorted(given, key=lambda point: point["c"]) == left


def test_what_is_left_may_be_continuous_or_larger_than_any_list():
    seldom = chain(20, {"rate": Float(0.0, 1.0), "huge": Int(1, 10**15)})
    rng = np.random.default_rng(3)
    for told in (True, False):
        visited = visited_in(SearchSpace(seldom), told=told)
        for number in range(20):
            visited.add({f"flag{index}": index < number for index in range(number + 1)})
        for _ in range(3):
            point = visited.new_point(rng)
            assert all(point[f"flag{index}"] for index in range(20))
            assert point not in visited
            visited.add(point)


def test_a_new_point_takes_as_long_among_many_as_among_few():
    def milliseconds(last):
        space = SearchSpace({"a": Int(1, last), "b": Int(1, 10), "c": Int(1, 10)})
        grid = list(space.grid())
        left = grid.pop(len(grid) // 2)
        visited, rng = visited_in(space, grid), np.random.default_rng(1)
        assert visited.new_point(rng) == left
        took = []
        for _ in range(20):
            began = time.process_time()
            assert visited.new_point(rng) == left
            took.append(1e3 * (time.process_time() - began))
        return median(took)

    assert milliseconds(100) < 3 * milliseconds(10), "10,000 points, and 1,000"


@pytest.mark.parametrize("model", MODELS)
def test_a_sampler_that_is_not_told_the_conditions_repeats_no_point_either(model):
    kinds = "abcdef"
    space = {"kind": CategoricalDistribution(kinds)} | {f"of_{kind}": IntDistribution(1, 7) for kind in kinds}
    options = {"restarts": 0} if model == "gp" else {"trees": 5}
    sampler = SkoptSampler(model, space=space, startup_trials=10, candidates=20, seed=1, **options)
    study = optuna.create_study(sampler=sampler)

    def objective(trial):
        kind = trial.suggest_categorical("kind", kinds)
        return trial.suggest_int(f"of_{kind}", 1, 7) + kinds.index(kind)

    study.optimize(objective, n_trials=42)
    assert len({str(trial.params) for trial in study.trials}) == 42


def test_trials_of_the_same_space_in_another_order_are_known():
    box = Box({"a": IntDistribution(1, 2), "b": FloatDistribution(0, 1, step=0.5)})
    visited = Visited([{"b": 0.5, "a": 1}], box)
    assert {"a": 1, "b": 0.5} in visited
    assert {"a": 2, "b": 0.5} not in visited
