"""Points that were proposed, and new ones as long as there are any."""

import pytest

from bandstand.strategies.points.visited import Visited
from bandstand_spaces import Categorical, Float, Int, SearchSpace

FINITE = SearchSpace({"a": Int(1, 3), "b": Categorical(["x", "y"], branches={"y": {"c": Int(0, 1)}})})


@pytest.fixture
def finite():
    return Visited(FINITE)


def test_a_point_is_known_whatever_the_order_of_its_params(finite):
    finite.add({"a": 1, "b": "x"})
    assert {"b": "x", "a": 1} in finite
    assert {"b": "x", "a": 2} not in finite


def test_it_counts_how_often_a_point_was_proposed(finite):
    for times in range(3):
        assert finite.times({"a": 1, "b": "x"}) == times
        finite.add({"a": 1, "b": "x"})
    assert finite.times({"a": 2, "b": "x"}) == 0


def test_a_finite_space_gives_each_point_once_whatever_is_drawn_and_is_full_then(finite):
    for number in range(9):
        assert not finite.is_full
        point = finite.new_point(lambda: {"a": 1, "b": "x"})
        assert point not in finite, number
        FINITE.check(point)
        finite.add(point)
    assert finite.is_full
    assert finite.new_point(lambda: {"a": 1, "b": "x"}) == {"a": 1, "b": "x"}


def test_what_is_drawn_comes_before_what_is_only_left(finite):
    assert finite.new_point(lambda: {"a": 3, "b": "x"}) == {"a": 3, "b": "x"}


def test_an_infinite_space_is_never_full_and_gives_a_known_point_where_nothing_else_is_drawn():
    visited = Visited(SearchSpace({"x": Float(0.0, 1.0)}))
    visited.add({"x": 0.5})
    assert not visited.is_full
    assert visited.new_point(lambda: {"x": 0.5}) == {"x": 0.5}
    draws = iter([{"x": 0.5}, {"x": 0.25}])
    assert visited.new_point(lambda: next(draws)) == {"x": 0.25}
