"""Scrambled Sobol points: evenly spread, and each a function of the seed and its number alone."""

import pytest

from bandstand.strategies.samplers.qmc import QMCSampler
from bandstand_spaces import Categorical, Float, Int, SearchSpace

PLANE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
TREE = SearchSpace(
    {
        "rate": Float(1e-4, 1e-1, log=True),
        "optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"nesterov": Categorical([True, False])}}),
        "units": Int(16, 64, step=16),
    }
)


def test_every_cell_of_a_square_grid_gets_the_same_number_of_points():
    sampler = QMCSampler(PLANE, 3)
    cells = [0] * 64
    for number in range(256):
        point = sampler.propose(number)
        cells[int(point["x"] * 8) * 8 + int(point["y"] * 8)] += 1
    assert cells == [4] * 64


def test_a_point_depends_on_the_seed_and_its_number_and_on_nothing_before():
    in_order = QMCSampler(TREE, 5)
    points = [in_order.propose(number) for number in range(40)]
    shuffled = QMCSampler(TREE, 5)
    for number in (30, 2, 2, 39, 0, 17):
        assert shuffled.propose(number) == points[number]
        assert QMCSampler(TREE, 5).propose(number) == points[number]
    assert [QMCSampler(TREE, 6).propose(number) for number in range(40)] != points


def test_every_point_belongs_to_a_conditional_space_and_every_choice_comes_up():
    sampler = QMCSampler(TREE, 1)
    points = [sampler.propose(number) for number in range(64)]
    for point in points:
        TREE.check(point)
    assert {str(point.get("nesterov")) for point in points} == {"True", "False", "None"}
    assert {point["units"] for point in points} == {16, 32, 48, 64}
    assert sum(point["rate"] < 1e-2 for point in points) == pytest.approx(64 * 2 / 3, abs=1)


def test_it_takes_no_options(spec_with):
    with pytest.raises(ValueError, match="sampler qmc has no options; got 'scramble': leave it out"):
        spec_with(sampler="qmc", sampler_options={"scramble": False})
