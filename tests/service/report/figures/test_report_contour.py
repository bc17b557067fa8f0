"""Contour: the two most important parameters, a surface that is a mean of trials near by."""

import numpy as np
import pytest

from bandstand.report.figures.contour import contour_data, draw
from bandstand_spaces import Categorical, Float, SearchSpace

SPACE = SearchSpace({"x": Float(0.0, 1.0), "idle": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
MIXED = SearchSpace({"x": Float(0.0, 1.0), "kind": Categorical(["a", "b", "c"])})


@pytest.fixture
def bowl(make_record, make_spec, run):
    """150 trials of a bowl with its lowest point at x = 0.3, y = 0.7; `idle` does nothing."""
    rng = np.random.default_rng(0)
    points = rng.random((150, 3))
    runs = [
        run([float(2 * (x - 0.3) ** 2 + (y - 0.7) ** 2 + 1)], params={"x": float(x), "idle": float(z), "y": float(y)})
        for x, y, z in points
    ]
    return make_record(runs, spec=make_spec(space=SPACE))


def test_the_two_most_important_parameters_are_chosen(bowl):
    assert {side.name for side in contour_data(bowl).sides} == {"x", "y"}


def test_the_surface_is_lowest_where_the_bowl_is(bowl):
    data = contour_data(bowl)
    surface = np.array([[np.nan if value is None else value for value in row] for row in data.surface])
    up, across = np.unravel_index(np.nanargmin(surface), surface.shape)
    found = {data.sides[0].name: data.sides[0].grid[across], data.sides[1].name: data.sides[1].grid[up]}
    assert found["x"] == pytest.approx(0.3, abs=0.12)
    assert found["y"] == pytest.approx(0.7, abs=0.12)


def test_where_no_trial_is_near_nothing_is_drawn(make_record, make_spec, run):
    rng = np.random.default_rng(0)
    runs = [
        run([float(x + y)], params={"x": float(x), "idle": 0.5, "y": float(y)}) for x, y in 0.4 * rng.random((60, 2))
    ]
    data = contour_data(make_record(runs, spec=make_spec(space=SPACE)))
    assert data.surface[-1] == (None,) * len(data.sides[0].grid)
    assert data.surface[0][0] is not None


def test_a_choice_has_cells_and_no_value_leaks_from_one_to_another(make_record, make_spec, run):
    level = {"a": 1.0, "b": 5.0, "c": 9.0}
    kinds = "abc" * 20
    runs = [run([level[kind] + i / 1e6], params={"x": i / 60, "kind": kind}) for i, kind in enumerate(kinds)]
    data = contour_data(make_record(runs, spec=make_spec(space=MIXED)))
    names = [side.name for side in data.sides]
    assert names[0] == "kind"
    for row in data.surface:
        assert row == pytest.approx((1.0, 5.0, 9.0), abs=1e-3)
    assert draw(make_record(runs, spec=make_spec(space=MIXED))).figure.data[0].type == "heatmap"


def test_without_importances_the_reason_is_given(make_record, run):
    told = draw(make_record([run([1.0])]))
    assert told.startswith("The two most important parameters are not known yet. Importance needs at least 8 trials")
