"""A finite space as numbers, and the order that covers it early."""

from collections import Counter
from itertools import combinations
from statistics import mean

import numpy as np
import pytest

from bandstand.strategies.points.lattice import Lattice
from bandstand_spaces import Categorical, Float, Int, SearchSpace

CONDITIONAL = SearchSpace(
    {
        "layers": Int(1, 3),
        "optimizer": Categorical(
            ["sgd", "adam"],
            branches={
                "sgd": {
                    "nesterov": Categorical([True, False], branches={True: {"momentum": Float(0.5, 0.9, step=0.1)}}),
                    "clip": Int(1, 2),
                }
            },
        ),
        "dropout": Float(0.0, 0.3, step=0.1),
    }
)
CUBE = SearchSpace({name: Int(0, 7) for name in "xyz"})
SPACES = [CONDITIONAL, CUBE, SearchSpace({"one": Categorical(["a"])}), SearchSpace({"x": Int(0, 299)})]


@pytest.mark.parametrize("space", SPACES)
def test_points_are_numbered_in_the_order_of_the_grid(space):
    lattice = Lattice(space)
    points = [lattice.point(number) for number in range(lattice.size)]
    assert points == list(space.grid())
    assert [list(point) for point in points] == [list(point) for point in space.grid()]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_covering_order_has_every_number_once_and_depends_on_the_seed_alone(space, seed):
    first, second = (Lattice(space).covering_order(np.random.default_rng(seed)).tolist() for _ in range(2))
    assert first == second
    assert sorted(first) == list(range(space.size))
    if space.size > 1:
        assert first != Lattice(space).covering_order(np.random.default_rng(seed + 2)).tolist()


def farthest(points):
    """The largest distance of any point of the cube to the nearest of these, in sides."""
    everywhere = np.stack(np.meshgrid(*[np.arange(8)] * 3), -1).reshape(-1, 1, 3)
    chosen = np.array([[point[name] for name in "xyz"] for point in points])
    return float(np.linalg.norm((everywhere - chosen) / 8, axis=-1).min(axis=1).max())


def test_an_eighth_of_a_cube_has_every_pair_of_values_and_leaves_no_hole():
    lattice, holes, shuffled_holes = Lattice(CUBE), [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        points = [lattice.point(number) for number in lattice.covering_order(rng)[:64]]
        for one, other in combinations("xyz", 2):
            assert len({(point[one], point[other]) for point in points}) == 64
        holes.append(farthest(points))
        shuffled_holes.append(farthest([lattice.point(number) for number in rng.permutation(lattice.size)[:64]]))
    assert mean(holes) < 0.23
    assert mean(shuffled_holes) > 0.33


def test_choices_are_covered_in_proportion_to_the_points_below_them():
    lattice = Lattice(CONDITIONAL)  # 12 of each 13 points are sgd, 10 of them with nesterov
    order = lattice.covering_order(np.random.default_rng(3))
    first = [lattice.point(number) for number in order[: lattice.size // 3]]
    optimizers = Counter(point["optimizer"] for point in first)
    assert 44 <= optimizers["sgd"] <= 50
    assert 36 <= sum("momentum" in point for point in first) <= 44
    assert {point["layers"] for point in first} == {1, 2, 3}


def test_a_million_points_are_ordered_while_one_waits():
    lattice = Lattice(SearchSpace({f"p{digit}": Int(0, 9) for digit in range(6)}))
    order = lattice.covering_order(np.random.default_rng(0))
    assert len(np.unique(order)) == lattice.size == 1_000_000
    assert lattice.point(123_456) == {"p0": 1, "p1": 2, "p2": 3, "p3": 4, "p4": 5, "p5": 6}


def test_a_continuous_parameter_has_no_numbers():
    with pytest.raises(ValueError, match="a lattice needs finite parameters; got x, which is continuous"):
        Lattice(SearchSpace({"x": Float(0, 1)}))
