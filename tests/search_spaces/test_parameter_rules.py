"""Each rule for parameters: what is refused, and what the message says."""

import math
from collections import Counter
from enum import StrEnum

import numpy as np
import pytest

from bandstand_spaces import Categorical, Float, Int


class Optimizer(StrEnum):
    SGD = "sgd"
    ADAM = "adam"


REFUSED_FLOATS = [
    ((1.0, 0.1), {}, "low must be < high; got low=1.0, high=0.1; swap them"),
    ((0.1, 0.1), {}, r"low must be < high; got low=0.1, high=0.1; for a constant use Categorical"),
    ((0.0, math.inf), {}, "high must be finite; got inf"),
    ((math.nan, 1.0), {}, "low must be finite; got nan"),
    ((0, 10**400), {}, "high must be finite; got 1000"),
    ((-1e308, 1e308), {}, "high - low must be finite"),
    (("1e-4", 1.0), {}, "low must be a number; got '1e-4'; write it without quotes"),
    ((False, 1.0), {}, "low must be a number; got False"),
    ((None, 1.0), {}, "low must be a number; got None"),
    ((0.0, 1.0), {"log": True}, "log needs low > 0; got low=0.0; raise low"),
    ((-1.0, 1.0), {"log": True}, "log needs low > 0"),
    ((0.0, 1.0), {"log": "yes"}, "log must be true or false; got 'yes'"),
    ((0.0, 1.0), {"step": 0.0}, "step must be > 0; got step=0.0"),
    ((0.0, 1.0), {"step": -0.1}, "step must be > 0; got step=-0.1"),
    ((0.0, 1.0), {"step": math.nan}, "step must be finite; got nan"),
    ((0.1, 1.0), {"step": 0.1, "log": True}, "step and log must not be used together"),
    (
        (0.0, 1.0),
        {"step": 0.3},
        r"high must be low plus a whole number of steps; got low=0.0, high=1.0, step=0.3; use high=0.9",
    ),
    ((0.0, 1.0), {"step": 5.0}, r"high must be low plus a whole number of steps; .* use high=5.0"),
    ((0.0, 1e-9), {"step": 1.0}, r"high must be low plus a whole number of steps; .* use high=1.0"),
    ((0.0, 1.0), {"step": 1e-9}, "step must be at least a millionth of the bounds"),
    ((0.1234567890123456, 1000.8234567890124), {"step": 1000.7}, "give low and step fewer digits"),
]

REFUSED_INTS = [
    ((8, 2), {}, "low must be < high; got low=8, high=2; swap them"),
    ((2, 2), {}, "low must be < high; .* for a constant use Categorical"),
    ((True, 2), {}, "low must be an integer; got True"),
    ((1.0, 2), {}, "low must be an integer; got 1.0; .* Float instead of Int"),
    ((1, "2"), {}, "high must be an integer; got '2'"),
    ((0, 2**53 + 1), {}, r"high must be between -2\*\*53 and 2\*\*53"),
    ((0, 8), {"log": True}, "log needs low > 0; got low=0"),
    ((0, 8), {"step": 0}, "step must be > 0; got step=0"),
    ((0, 8), {"step": -2}, "step must be > 0; got step=-2"),
    ((0, 8), {"step": True}, "step must be an integer; got True"),
    ((2, 8), {"step": 2, "log": True}, "step and log must not be used together"),
    ((0, 9), {"step": 4}, r"high must be low plus a whole number of steps; .* use high=8 or high=12"),
]

REFUSED_CHOICES = [
    ([], {}, r"choices must not be empty; got \[\]; name at least one"),
    ("sgd", {}, "choices must be a list or tuple, .* got 'sgd'"),
    ({"sgd", "adam"}, {}, "choices must be a list or tuple, because their order counts"),
    ([1, True], {}, "choices must differ in value and in text; got 1 and True"),
    ([1, 1.0], {}, "choices must differ in value and in text; got 1 and 1.0"),
    ([0, False], {}, "choices must differ in value and in text; got 0 and False"),
    (["1", 1], {}, "choices must differ in value and in text; got '1' and 1"),
    ([True, "true"], {}, "choices must differ in value and in text; got True and 'true'"),
    (["sgd", "sgd"], {}, "choices must differ in value and in text"),
    (
        [(64, 32), (128,)],
        {},
        r"a choice must be a str, int, float or bool, .* got \(64, 32\); use a string and translate",
    ),
    ([[64, 32]], {}, r"a choice must be .* got \[64, 32\]"),
    ([None, "l2"], {}, "a choice must be .* got None; use a string and translate it in the builder"),
    ([{"a": 1}], {}, "a choice must be .* use a string"),
    ([math.nan], {}, "a number among the choices must be finite; got nan"),
    ([math.inf], {}, "a number among the choices must be finite; got inf"),
    ([2**60], {}, r"an integer among the choices must be between -2\*\*53 and"),
    (["a\0b"], {}, "must not have NUL or surrogates"),
    (["\ud800"], {}, "must not have NUL or surrogates"),
    (["sgd"], {"branches": {"adam": {}}}, "a branch must belong to one of the choices 'sgd'; got 'adam'"),
    ([1, 2], {"branches": {True: {}}}, "a branch must belong to one of the choices 1, 2; got True"),
    (["sgd"], {"branches": None}, "branches must map choices to parameters; got None"),
    (["sgd"], {"branches": {"sgd": Float(0, 1)}}, "parameters must map names to parameters; got Float"),
    (["sgd"], {"branches": {"sgd": {"momentum": 0.9}}}, "momentum must be a Float, Int or Categorical; got 0.9"),
]


@pytest.mark.parametrize(("bounds", "options", "message"), REFUSED_FLOATS)
def test_a_float_that_breaks_a_rule_is_refused_with_rule_value_and_way_out(bounds, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Float(*bounds, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("bounds", "options", "message"), REFUSED_INTS)
def test_an_int_that_breaks_a_rule_is_refused_with_rule_value_and_way_out(bounds, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Int(*bounds, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("choices", "options", "message"), REFUSED_CHOICES)
def test_a_categorical_that_breaks_a_rule_is_refused_with_rule_value_and_way_out(choices, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Categorical(choices, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float(0, 1), 1.5),
        (Float(0, 1), True),
        (Float(0, 1), "0.5"),
        (Float(0, 1), math.nan),
        (Float(0, 1, step=0.1), 0.55),
        (Int(0, 8), 9),
        (Int(0, 8), 3.0),
        (Int(0, 8), True),
        (Int(0, 8, step=2), 3),
        (Categorical([0, 1]), True),
        (Categorical([0, 1]), 1.0),
        (Categorical([False, True]), 1),
        (Categorical(["sgd"]), "adam"),
        (Categorical(["sgd"]), ["sgd"]),
    ],
)
def test_a_value_that_does_not_belong_is_refused_by_the_parameter_s_name(parameter, value):
    assert not parameter.contains(value)
    with pytest.raises(ValueError, match=r"^rate must be .*; got .*; change the value"):
        parameter.check("rate", value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float(0, 1), 1),
        (Float(0, 1, step=0.1), 0.1 * 3),
        (Float(0, 1, step=0.1), 0.3),
        (Int(0, 8, step=2), 8),
        (Categorical([0.5, 1.0]), 1),
        (Categorical([False, True]), True),
        (Categorical(["sgd"]), "sgd"),
    ],
)
def test_a_value_that_belongs_passes(parameter, value):
    assert parameter.contains(value)
    parameter.check("rate", value)


def test_a_high_that_is_off_by_a_rounding_error_is_snapped_to_the_grid():
    assert Float(0, 0.1 + 0.2, step=0.1).grid() == (0.0, 0.1, 0.2, 0.3)
    below = 0.1 * 8 - 2**-52
    assert Float(0, below, step=0.1).grid()[-1] == 0.8
    assert Float(0, below, step=0.1).distribution().high == 0.8


def test_grids_and_sizes_of_single_parameters():
    assert (Int(16, 64, step=16).grid(), Int(16, 64, step=16).size) == ((16, 32, 48, 64), 4)
    assert (Float(0, 1).grid(), Float(0, 1).size) == (None, None)
    assert (Categorical(["a", "b"]).grid(), Categorical(["a", "b"]).size) == (("a", "b"), 2)


@pytest.mark.parametrize("u", [1.0, -0.1, math.nan])
@pytest.mark.parametrize("parameter", [Float(0, 1), Int(0, 1), Categorical(["a"])])
def test_a_fraction_outside_zero_to_one_is_refused(parameter, u):
    with pytest.raises(ValueError, match="u must be at least 0 and below 1"):
        parameter.value_at(u)


def test_a_log_float_puts_its_middle_at_the_geometric_mean():
    assert Float(1e-4, 1e-2, log=True).value_at(0.5) == pytest.approx(1e-3)
    assert Float(1.0, 3.0).value_at(0.5) == 2.0


def test_a_log_int_draws_each_decade_equally_often_and_its_ends_with_their_full_share():
    parameter = Int(1, 99, log=True)
    draws = Counter(parameter.value_at((index + 0.5) / 10_000) for index in range(10_000))
    share_of_one = math.log(1.5 / 0.5) / math.log(99.5 / 0.5)
    assert draws[1] / 10_000 == pytest.approx(share_of_one, abs=1e-3)
    assert sum(draws[value] for value in range(1, 10)) / 10_000 == pytest.approx(math.log(19) / math.log(199), abs=1e-3)


def test_numpy_numbers_and_string_enums_become_plain_values():
    assert type(Float(np.float64(0.5), np.float32(1)).high) is float
    assert type(Int(np.int64(1), 2).low) is int
    choices = Categorical([Optimizer.SGD, np.int64(3), np.float64(0.5)]).choices
    assert [type(choice) for choice in choices] == [str, int, float]


def test_minus_zero_becomes_zero_so_that_equal_parameters_are_written_alike():
    assert Float(-0.0, 1).to_dict() == {"type": "float", "low": 0.0, "high": 1.0}
    assert repr(Float(-0.0, 1)) == repr(Float(0.0, 1))
    assert repr(Categorical([-0.0]).choices) == "(0.0,)"


def test_categoricals_are_equal_only_with_choices_of_the_same_types_and_order():
    assert Categorical([1, 2]) == Categorical((1, 2))
    assert Categorical([1, 2]) != Categorical([1.0, 2.0])
    assert Categorical([0, 1]) != Categorical([False, True])
    assert Categorical([1, 2]) != Categorical([2, 1])


def test_an_empty_branch_is_no_branch_and_branches_follow_the_order_of_the_choices():
    written = Categorical(["a", "b", "c"], branches={"c": {"x": Int(0, 1)}, "a": {"y": Int(0, 1)}, "b": {}})
    assert list(written.branches) == ["a", "c"]
    assert written.branch("b") == {}


def test_changing_what_a_categorical_was_made_of_does_not_change_it():
    branch = {"momentum": Float(0, 1)}
    branches = {"sgd": branch}
    parameter = Categorical(["sgd"], branches=branches)
    branch["nesterov"] = Categorical([True])
    branches.clear()
    assert list(parameter.branch("sgd")) == ["momentum"]
    with pytest.raises(TypeError):
        parameter.branches["sgd"] = {}
