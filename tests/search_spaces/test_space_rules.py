"""What a space refuses, as code, as params, and as text; and how conditions work on one known space."""

import copy

import pytest

from bandstand_spaces import Categorical, Float, Int, SearchSpace

SPACE = SearchSpace(
    {
        "layers": Int(1, 2),
        "optimizer": Categorical(
            ["sgd", "adam", "lion"],
            branches={
                "sgd": {"momentum": Float(0, 0.9, step=0.3), "nesterov": Categorical([False, True])},
                "adam": {
                    "beta_1": Float(0.5, 0.9, step=0.4),
                    "amsgrad": Categorical([False, True], branches={True: {"warmup": Int(1, 3)}}),
                },
            },
        ),
    }
)
LION = {"layers": 1, "optimizer": "lion"}
ADAM = {"layers": 2, "optimizer": "adam", "beta_1": 0.5, "amsgrad": True, "warmup": 3}


def test_a_branch_counts_only_under_its_choice():
    assert SPACE.size == 2 * (4 * 2 + 2 * (1 + 3) + 1)
    points = list(SPACE.grid())
    assert len(points) == SPACE.size
    assert [point for point in points if point["optimizer"] == "lion"] == [LION, {**LION, "layers": 2}]
    assert ADAM in points


def test_the_last_parameter_of_a_grid_varies_fastest():
    space = SearchSpace({"a": Int(0, 1), "b": Int(0, 1)})
    assert [tuple(point.values()) for point in space.grid()] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_flat_list_gives_each_parameter_its_whole_condition_parents_first():
    flat = {name: condition for name, _, condition in SPACE.flat()}
    assert list(flat) == ["layers", "optimizer", "momentum", "nesterov", "beta_1", "amsgrad", "warmup"]
    assert flat["layers"] == ()
    assert flat["nesterov"] == (("optimizer", "sgd"),)
    assert flat["warmup"] == (("optimizer", "adam"), ("amsgrad", True))


def test_a_grid_over_a_continuous_parameter_is_refused_at_the_call_even_if_it_hides_in_a_branch():
    space = SearchSpace({"a": Int(0, 1), "b": Categorical(["x", "y"], branches={"y": {"rate": Float(0, 1)}})})
    assert space.size is None
    with pytest.raises(ValueError, match="got rate, which is continuous; give it a step"):
        space.grid()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {**LION, "lyers": 2},
            r"params must be parameters of the space \(layers, optimizer, .*\); got 'lyers'; remove or rename it",
        ),
        ({"layers": 1}, "params must have a value for each active parameter; got none for optimizer; add one"),
        ({**LION, "optimizer": "sgd", "momentum": 0.3}, "got none for nesterov"),
        (
            {**LION, "momentum": 0.3},
            "momentum exists only with optimizer='sgd'; got momentum=0.3 with another choice; remove it",
        ),
        (
            {**ADAM, "amsgrad": False},
            "warmup exists only with optimizer='adam' and amsgrad=True; got warmup=3 with another choice; remove it",
        ),
        ({**LION, "layers": 3}, "layers must be an integer from 1 to 2; got 3"),
        ({**LION, "layers": 1.0}, "layers must be an integer from 1 to 2; got 1.0"),
        ({**LION, "optimizer": "rmsprop"}, "optimizer must be one of 'sgd', 'adam', 'lion'; got 'rmsprop'"),
        ({**ADAM, "beta_1": 0.6}, "beta_1 must be a number from 0.5 to 0.9 in steps of 0.4; got 0.6"),
    ],
)
def test_params_that_are_no_point_of_the_space_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        SPACE.check(params)


@pytest.mark.parametrize("name", ["", "1st", "learning rate", "a.b", "größe", "a" * 513, "a\n", 3, None])
def test_a_name_that_is_no_identifier_is_refused(name):
    with pytest.raises(ValueError, match="name must have 1 to 512 letters, digits and underscores"):
        SearchSpace({name: Int(0, 1)})
    with pytest.raises(ValueError, match="name must have 1 to 512 letters, digits and underscores"):
        SearchSpace({"a": Categorical(["x"], branches={"x": {name: Int(0, 1)}})})


@pytest.mark.parametrize(
    "branches",
    [
        {"sgd": {"rate": Float(0, 1)}, "adam": {"rate": Float(0, 1)}},
        {"adam": {"optimizer": Int(0, 1)}},
        {"adam": {"deep": Categorical(["a"], branches={"a": {"units": Int(0, 1)}})}},
    ],
)
def test_a_name_used_twice_anywhere_in_the_tree_is_refused(branches):
    optimizer = Categorical(["sgd", "adam"], branches=branches)
    with pytest.raises(
        ValueError, match=r"a name must occur once in the whole space; got '(rate|optimizer|units)' twice"
    ):
        SearchSpace({"optimizer": optimizer, "units": Int(16, 32)})


def test_a_space_without_parameters_or_with_other_things_in_it_is_refused():
    with pytest.raises(ValueError, match="a search space must have at least one parameter; got none"):
        SearchSpace({})
    with pytest.raises(ValueError, match=r"units must be a Float, Int or Categorical; got \(16, 32\)"):
        SearchSpace({"units": (16, 32)})
    with pytest.raises(ValueError, match="parameters must map names to parameters"):
        SearchSpace([("units", Int(16, 32))])


def test_a_space_cannot_be_changed_and_its_order_is_part_of_it():
    parameters = {"a": Int(0, 1), "b": Int(0, 1)}
    space = SearchSpace(parameters)
    parameters["c"] = Int(0, 1)
    assert list(space.parameters) == ["a", "b"]
    with pytest.raises(AttributeError):
        space.parameters = {}
    assert SearchSpace({"b": Int(0, 1), "a": Int(0, 1)}) != space
    assert copy.deepcopy(space) == space


def test_the_written_form_leaves_defaults_out_and_writes_choices_that_are_no_strings_as_json():
    space = SearchSpace(
        {
            "rate": Float(1e-4, 0.1, log=True),
            "units": Int(16, 128, step=16),
            "a": Categorical([False, True], branches={True: {"b": Int(1, 2)}}),
            "c": Categorical(
                [3, 0.5, "s p"], branches={3: {"d": Int(1, 2)}, 0.5: {"e": Int(1, 2)}, "s p": {"f": Int(1, 2)}}
            ),
        }
    )
    one_or_two = {"type": "int", "low": 1, "high": 2}
    assert space.to_dict() == {
        "rate": {"type": "float", "low": 0.0001, "high": 0.1, "log": True},
        "units": {"type": "int", "low": 16, "high": 128, "step": 16},
        "a": {"type": "categorical", "choices": [False, True], "when": {"true": {"b": one_or_two}}},
        "c": {
            "type": "categorical",
            "choices": [3, 0.5, "s p"],
            "when": {"3": {"d": one_or_two}, "0.5": {"e": one_or_two}, "s p": {"f": one_or_two}},
        },
    }
    assert '[c.when."s p".f]' in space.to_toml()
    assert SearchSpace.from_toml(space.to_toml()) == space


FLOAT = {"type": "float", "low": 0.0, "high": 1.0}
CATEGORICAL = {"type": "categorical", "choices": [1, 2]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**FLOAT, "low": 2.0}, "^rate: low must be < high; got low=2.0, high=1.0; swap them"),
        ({**FLOAT, "steps": 0.1}, "^rate: a key of type float must be one of type, low, high, log, step; got 'steps'"),
        ({**FLOAT, "when": {}}, "^rate: a key of type float must be one of .* got 'when'"),
        (
            {**CATEGORICAL, "log": True},
            "^rate: a key of type categorical must be one of type, choices, when; got 'log'",
        ),
        ({**FLOAT, "type": "uniform"}, "^rate: type must be one of categorical, float, int; got 'uniform'"),
        ({**FLOAT, "type": ["int"]}, r"^rate: type must be one of categorical, float, int; got \['int'\]"),
        ({"low": 0.0, "high": 1.0}, "^rate: type must be one of categorical, float, int; got none"),
        ({"type": "float", "low": 0.0}, "^rate: type float needs low, high; got no high; add it"),
        ({"type": "categorical"}, "^rate: type categorical needs choices; got no choices"),
        ([0.0, 1.0], r"^rate: a parameter must be a table; got \[0.0, 1.0\]"),
        ({**FLOAT, "type": "int"}, "^rate: low must be an integer; got 0.0"),
        ({**CATEGORICAL, "choices": [None]}, "^rate: a choice must be a str"),
        ({**CATEGORICAL, "when": {"3": {}}}, "^rate: a key of the table when must be one of the choices 1, 2; got '3'"),
        ({**CATEGORICAL, "when": []}, "^rate: the table when must map choices to parameters"),
        ({**CATEGORICAL, "when": {"1": {"inner": {**FLOAT, "low": 2}}}}, "^inner: low must be < high"),
        ({**CATEGORICAL, "when": {"1": {"rate": FLOAT}}}, "a name must occur once in the whole space; got 'rate'"),
    ],
)
def test_data_that_describe_no_parameter_are_refused_by_the_parameter_s_name(data, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace.from_dict({"rate": data})


def test_text_that_holds_no_space_is_refused_with_the_place_of_the_mistake():
    with pytest.raises(ValueError, match=r"must be valid JSON; got .*line 1"):
        SearchSpace.from_json("{")
    with pytest.raises(ValueError, match=r"must be valid TOML; got .*line 1, column 8"):
        SearchSpace.from_toml("rate = x\nlow = 1")
    with pytest.raises(ValueError, match="a search space must map names to parameters; got 3"):
        SearchSpace.from_json("3")
    with pytest.raises(ValueError, match="a key must not be used twice in one table; got 'low'"):
        SearchSpace.from_json('{"rate": {"type": "float", "low": 0, "low": 0.5, "high": 1}}')
