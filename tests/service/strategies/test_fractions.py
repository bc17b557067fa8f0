"""Where a value lies on its parameter's scale."""

from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandstand.strategies.points.fractions import ALMOST_ONE, fraction_of, reach_at, value_at
from bandstand_spaces import Categorical, Float, Int
from tests.service.strategies.samplers.landscapes import ODD_SPACES

NUMBERS = [
    Float(-2.0, 6.0),
    Float(1e-5, 1.0, log=True),
    Float(0.0, 0.6, step=0.1),
    Int(3, 7),
    Int(16, 256, step=16),
    Int(1, 1000, log=True),
    Int(0, 1),
]


@pytest.mark.parametrize("parameter", NUMBERS)
@given(u=st.floats(0, ALMOST_ONE))
def test_it_undoes_what_value_at_does(parameter, u):
    value = parameter.value_at(u)
    fraction = fraction_of(parameter, value)
    assert isclose(parameter.value_at(fraction), value, rel_tol=1e-9, abs_tol=1e-9)
    if parameter.size is None:
        assert isclose(fraction, u, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("parameter", "value", "fraction"),
    [
        (Float(-2.0, 6.0), 0.0, 0.25),
        (Float(-2.0, 6.0), 6.0, ALMOST_ONE),
        (Float(1e-4, 1.0, log=True), 1e-3, 0.25),
        (Float(0.0, 0.4, step=0.1), 0.3, 0.7),
        (Int(3, 7), 3, 0.1),
        (Int(10, 40, step=10), 40, 0.875),
    ],
)
def test_a_value_lies_in_the_middle_of_its_share_of_the_scale(parameter, value, fraction):
    assert isclose(fraction_of(parameter, value), fraction)


@pytest.mark.parametrize(
    ("parameter", "value", "reach"),
    [(Int(1, 10), 5, 0.2), (Int(1, 10), 1, 0.2), (Int(0, 1), 0, 1.0), (Float(0, 1), 0.5, 0.0)],
)
def test_the_reach_of_a_value_has_room_for_its_neighbours(parameter, value, reach):
    assert isclose(reach_at(parameter, value), reach)


@pytest.mark.parametrize("parameter", [entry.parameter for entry in ODD_SPACES["many kinds"].flat()])
@given(u=st.floats(0, ALMOST_ONE))
def test_numbers_that_float64_just_holds_have_a_fraction_too(parameter, u):
    value = parameter.value_at(u)
    fraction = fraction_of(parameter, value)
    assert 0 <= fraction < 1
    assert isclose(fraction_of(parameter, value_at(parameter, fraction)), fraction, abs_tol=1e-9)


def test_a_choice_lies_in_the_middle_of_its_share_of_the_list():
    parameter = Categorical(["a", 1, "b", "c"])
    assert [fraction_of(parameter, choice) for choice in parameter.choices] == [0.125, 0.375, 0.625, 0.875]
    assert [value_at(parameter, fraction_of(parameter, choice)) for choice in parameter.choices] == ["a", 1, "b", "c"]


@pytest.mark.parametrize("parameter", NUMBERS)
def test_fractions_beyond_the_scale_stand_for_its_ends(parameter):
    for beyond, end in [(-0.5, parameter.low), (1.0, parameter.high), (7.0, parameter.high)]:
        assert value_at(parameter, beyond) == end
        assert type(value_at(parameter, beyond)) is type(parameter.value_at(0.5))


def test_fractions_beyond_a_list_stand_for_its_first_and_last_choice():
    letters = Categorical(["a", "b", "c"])
    assert [value_at(letters, fraction) for fraction in (-0.5, 1.0, 7.0)] == ["a", "c", "c"]


def test_a_value_is_plain_although_the_fraction_is_numpy_s():
    assert type(value_at(Float(0.0, 1.0), np.float64(0.5))) is float


def test_on_a_logarithmic_scale_small_integers_reach_farther():
    assert reach_at(Int(1, 1000, log=True), 1) > 10 * reach_at(Int(1, 1000, log=True), 100)
