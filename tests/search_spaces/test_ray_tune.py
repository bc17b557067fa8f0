"""Ray Tune's spaces become ours and come back, and both sides draw from the same values."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ray import tune

import bandstand_spaces
from bandstand_spaces import Categorical, Float, Int, SearchSpace

CONFIG = {
    "rate": tune.uniform(0, 0.5),
    "learning_rate": tune.loguniform(1e-4, 1e-1),
    "dropout": tune.quniform(0, 0.5, 0.1),
    "layers": tune.randint(1, 5),
    "units": tune.qrandint(32, 130, 32),
    "width": tune.qrandint(1, 4, 1),
    "batch": tune.lograndint(8, 65),
    "activation": tune.choice(["relu", "tanh"]),
    "depth": tune.grid_search([2, 4]),
    "l2": 0.01,
    "adam": {"beta": tune.uniform(0.8, 0.99)},
}
SPACE = SearchSpace(
    {
        "rate": Float(0, 0.5),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "dropout": Float(0, 0.5, step=0.1),
        "layers": Int(1, 4),
        "units": Int(32, 128, step=32),
        "width": Int(1, 3),
        "batch": Int(8, 64, log=True),
        "activation": Categorical(["relu", "tanh"]),
        "depth": Categorical([2, 4]),
        "l2": Categorical([0.01]),
        "adam_beta": Float(0.8, 0.99),
    }
)


def test_each_domain_of_tune_becomes_the_parameter_with_the_same_values():
    assert SearchSpace.from_tune(CONFIG) == SPACE


def test_a_space_comes_back_from_tune_as_it_went_there():
    assert SearchSpace.from_tune(SPACE.to_tune()) == SPACE


def test_what_tune_draws_from_either_side_is_a_point_of_ours():
    rng = np.random.default_rng(0)
    config = {key: domain for key, domain in CONFIG.items() if hasattr(domain, "sample")}
    for domains in (config, SPACE.to_tune()):
        for name, domain in domains.items():
            drawn = [domain.sample(random_state=rng) for _ in range(300)]
            for value in drawn:
                SPACE.parameters[name].check(name, value)
            if SPACE.parameters[name].size is not None and name != "batch":
                assert len({round(value, 6) if isinstance(value, float) else value for value in drawn}) == (
                    SPACE.parameters[name].size
                ), f"Tune does not reach every value of {name}"


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Int(1, 9, step=4), [1, 5, 9]),
        (Float(0.05, 0.25, step=0.1), [0.05, 0.15, 0.25]),
        (Float(0, 0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),  # Tune's own 3 * 0.1 is 0.30000000000000004
    ],
)
def test_steps_that_tune_cannot_make_become_a_choice_of_the_values(parameter, values):
    domain = SearchSpace({"x": parameter}).to_tune()["x"]
    assert type(domain).__name__ == "Categorical"
    assert domain.categories == values


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (tune.randn(0, 1), r"x: tune\.randn has no bounds, .*; use tune\.uniform"),
        (tune.qrandn(0, 1, 0.1), r"x: tune\.qrandn has no bounds, .*; use tune\.uniform"),
        (tune.sample_from(lambda config: 1), r"x: tune\.sample_from cannot be converted, because it is code; use"),
        (
            tune.qloguniform(0.1, 1, 0.1),
            r"x: tune\.qloguniform has both a step and a log scale, .* got q=0\.1; use tune\.log",
        ),
        (
            tune.qlograndint(2, 8, 2),
            r"x: tune\.qlograndint has both a step and a log scale, .* got q=2; use tune\.lograndint",
        ),
        (tune.randint(3, 3), "x: the range must contain a value; got lower=3, upper=3; raise upper"),
        (tune.choice([[64, 32], [128]]), r"x: a choice must be a str, .* got \[64, 32\]; use a string"),
        (None, "x: a choice must be .* got None"),
        (lambda: 1, "x: a function cannot be converted, because a space is data; got <function"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name_with_the_way_out(domain, message):
    with pytest.raises(ValueError, match=message) as caught:
        SearchSpace.from_tune({"x": domain})
    assert "\n" not in str(caught.value)


def test_a_range_of_one_value_is_a_choice_without_alternative():
    space = SearchSpace.from_tune({"a": tune.randint(3, 4), "b": tune.qrandint(3, 6, 4), "c": tune.uniform(1, 1)})
    assert space == SearchSpace({"a": Categorical([3]), "b": Categorical([4]), "c": Categorical([1.0])})


def test_branches_are_refused_for_tune_because_its_samplers_know_no_conditions():
    space = SearchSpace({"optimizer": Categorical(["sgd"], branches={"sgd": {"momentum": Float(0, 1)}})})
    with pytest.raises(
        ValueError, match=r"a space for Tune must have no branches, .* got momentum under optimizer; move"
    ):
        space.to_tune()


def test_nested_keys_that_meet_in_one_name_are_refused():
    with pytest.raises(ValueError, match="a name must occur once in the whole space; got 'a_b' twice"):
        SearchSpace.from_tune({"a": {"b": 1}, "a_b": 2})


def test_reading_a_tune_space_does_not_import_ray():
    program = (
        "import sys, bandstand_spaces; bandstand_spaces.SearchSpace.from_tune({'x': 1, 'y': {'grid_search': [1, 2]}});"
        "sys.exit('ray' in sys.modules)"
    )
    root = Path(bandstand_spaces.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0
