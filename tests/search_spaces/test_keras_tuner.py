"""KerasTuner builders as search spaces: what is found in them, where it hangs, and that nothing is missing to build."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from bandstand_spaces import Categorical, Float, Int, KerasTunerBuilder, SearchSpace
from bandstand_spaces.keras_tuner import takes_hp
from tests.search_spaces import keras_tuner_builders
from tests.search_spaces.keras_tuner_builders import BUILDERS

Builder = Callable[[Any], Any]

SPACES: Mapping[str, SearchSpace] = {
    "build_getting_started": SearchSpace(
        {
            "units": Int(32, 512, step=32),
            "activation": Categorical(["relu", "tanh"]),
            "dropout": Categorical([False, True]),
            "lr": Float(1e-4, 1e-2, log=True),
            "rate": Float(0, 0.5, step=0.1),  # behind a plain `if`, so drawn always
        }
    ),
    "build_layers": SearchSpace(
        {
            "num_layers": Int(1, 3),
            "units_0": Int(32, 512, step=32),
            "units_1": Int(32, 512, step=32),
            "units_2": Int(32, 512, step=32),
        }
    ),
    "build_layers_in_scopes": SearchSpace(
        {"num_layers": Int(1, 20)} | {f"units_{i}": Categorical([2, 4, 8, 16, 32]) for i in range(20)}
    ),
    "build_one_of_two_models": SearchSpace(
        {
            "model_type": Categorical(
                ["mlp", "cnn"],
                branches={
                    "mlp": {
                        "units": Int(16, 64, step=16),
                        "norm": Categorical([False, True], branches={True: {"momentum": Float(0.8, 0.99)}}),
                    },
                    "cnn": {"pool": Categorical(["max", "avg"]), "conv_filters": Categorical([8, 16])},
                },
            ),
            "seed": Categorical([7]),
            "batch": Int(2, 100, log=True),
        }
    ),
    "build_one_of_three_optimizers": SearchSpace(
        {
            "optimizer": Categorical(["sgd", "rmsprop", "adam"]),
            "momentum": Float(0, 0.9),  # under two choices, so drawn always
            "epsilon": Categorical([1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        }
    ),
}


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_the_space_of_a_builder_holds_all_it_may_ask_for_in_the_branches_of_its_scopes(build: Builder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that not all was found
        assert SearchSpace.from_keras_tuner(build) == SPACES[build.__name__]


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_no_params_of_a_space_leave_its_builder_without_a_value(build: Builder) -> None:
    space = SearchSpace.from_keras_tuner(build)
    builder = KerasTunerBuilder(build)
    rng = np.random.default_rng(1)
    for _ in range(200):
        builder(space.sample(rng))
    assert builder.defaulted == {}


def test_a_builder_gets_the_values_of_params_and_none_for_what_is_inactive() -> None:
    build = KerasTunerBuilder(keras_tuner_builders.build_one_of_two_models)
    given = build({"model_type": "cnn", "pool": "avg", "conv_filters": 16, "seed": 7, "batch": 9})
    assert given == {
        "model_type": "cnn",
        "filters": 16,
        "read": (16, 16, True, False),
        "pool": "avg",
        "seed": 7,
        "batch": 9,
        "values": {"model_type": "cnn", "conv/filters": 16, "pool": "avg", "seed": 7, "batch": 9},
    }
    assert build({"model_type": "mlp", "units": 16, "norm": False, "seed": 7, "batch": 9})["momentum"] is None


def test_what_has_no_value_in_params_takes_its_default_and_is_remembered() -> None:
    build = KerasTunerBuilder(keras_tuner_builders.build_getting_started)
    given = build({"units": 64, "activation": "tanh", "dropout": True})
    assert given == {"units": 64, "activation": "tanh", "rate": 0.2, "learning_rate": 1e-4}
    assert build.defaulted == {"rate": 0.2, "lr": 1e-4}


def test_a_hyperparameter_behind_two_decisions_is_found_by_random_builds() -> None:
    def build(hp: Any) -> None:
        if hp.Boolean("a") and hp.Boolean("b") and hp.Boolean("c"):
            hp.Int("x", 1, 2)
        if hp.Choice("d", ["no", "yes"]) == "yes" and hp.get("a"):
            hp.Int("y", 1, 2)

    assert list(SearchSpace.from_keras_tuner(build).parameters) == ["a", "d", "b", "c", "x", "y"]


def test_a_scope_on_a_middle_value_of_a_long_range_is_entered() -> None:
    def build(hp: Any) -> None:
        size = hp.Int("size", 1, 1000)
        with hp.conditional_scope("size", [500]):
            if size == 500:
                hp.Boolean("exact")

    assert list(SearchSpace.from_keras_tuner(build).parameters) == ["size", "exact"]


def test_exploration_ends_at_max_builds_and_says_so() -> None:
    builds = []

    def build(hp: Any) -> None:
        builds.append(copy.copy(hp.Choice("c", list(range(50)))))

    with pytest.warns(
        UserWarning, match=r"more hyperparameters than were found within max_builds; .* raise max_builds"
    ):
        space = SearchSpace.from_keras_tuner(build, max_builds=5)
    assert builds == [0, 1, 2, 3, 4]
    assert space.parameters["c"].size == 50


def test_values_for_which_a_builder_raises_do_not_end_the_exploration() -> None:
    def build(hp: Any) -> None:
        for i in range(hp.Int("pools", 1, 3)):
            hp.Boolean(f"max_{i}")
        if hp.get("pools") == 3:
            raise ValueError("negative dimension")

    assert list(SearchSpace.from_keras_tuner(build).parameters) == ["pools", "max_0", "max_1", "max_2"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda hp: hp.Float("x", 1, 2, sampling="reverse_log"),
            "x: sampling must be linear or log, .* no reverse_log",
        ),
        (lambda hp: hp.Float("x", 1, 2, sampling="cubic"), "x: sampling must be one of linear, log, reverse_log; got"),
        (lambda hp: hp.Float("x", 0, 2, sampling="log"), "x: sampling log needs min_value > 0; got 0; raise it"),
        (lambda hp: hp.Int("x", 1, 8, step=1, sampling="log"), "x: step must be > 1 with sampling log"),
        (lambda hp: hp.Int("x", 8, 1), "x: low must be < high; got low=8, high=1; swap them"),
        (lambda hp: hp.Choice("x", []), r"x: choices must not be empty"),
        (lambda hp: hp.Choice("x", ["a"], default="b"), r"it raised ValueError: x: default must be one of the values"),
        (lambda hp: hp.Fixed("x", None), r"x: a choice must be a str, int, float or bool, .* got None"),
        (lambda hp: (hp.Boolean("a b"), hp.Boolean("a_b")), "must differ in letters, .* got 'a b' and 'a_b'; rename"),
        (lambda hp: None, "build_model must ask hp for at least one hyperparameter; got none"),
        (
            lambda hp: hp["x"],
            "must work with the defaults of its hyperparameters; it raised KeyError: 'x does not exist",
        ),
        (
            lambda hp: hp.conditional_scope("x", [1]).__enter__(),
            "a scope's parent must be declared before the scope; got 'x'",
        ),
        (
            "train:build",
            "build_model must be a function of hp; got 'train:build'; for a HyperModel pass its method build",
        ),
    ],
)
def test_what_cannot_be_a_space_is_refused_in_one_line(build: Builder, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        SearchSpace.from_keras_tuner(build)
    assert "\n" not in str(caught.value)


def test_one_name_for_two_ranges_under_different_conditions_is_refused() -> None:
    def build(hp: Any) -> None:
        hp.Choice("model", ["mlp", "cnn"])
        hp.Int("units", 1, 8, parent_name="model", parent_values=["mlp"])
        hp.Int("units", 1, 9, parent_name="model", parent_values=["cnn"])

    with pytest.raises(
        ValueError, match=r"a name must have one range in the whole space; got 'units' with two ranges; rename"
    ):
        SearchSpace.from_keras_tuner(build)


def test_steps_end_where_keras_tuner_says() -> None:
    def build(hp: Any) -> None:
        hp.Int("a", 6, 13, step=3)
        hp.Float("b", 0, 1, step=0.3)
        hp.Int("c", 4, 6, step=9)
        hp.Float("d", 2, 2)
        hp.Float("e", 0.001, 10, step=10, sampling="log")
        hp.Choice("2 e", [True, False])

    assert SearchSpace.from_keras_tuner(build) == SearchSpace(
        {
            "a": Int(6, 12, step=3),
            "b": Float(0, 0.9, step=0.3),
            "c": Categorical([4]),
            "d": Categorical([2.0]),
            "e": Categorical([0.001, 0.01, 0.1, 1.0, 10.0]),
            "_2_e": Categorical([1, 0]),
        }
    )


def test_a_builder_is_known_as_keras_tuner_s_by_its_first_parameter() -> None:
    class HyperModel:
        def build(self, hp: Any) -> None:
            pass

    assert takes_hp(keras_tuner_builders.build_layers)
    assert takes_hp(HyperModel().build)
    assert not takes_hp(lambda params: None)
    assert not takes_hp(dict)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_hp_answers_as_keras_tuner_s_own(build: Builder) -> None:
    keras_tuner = pytest.importorskip("keras_tuner", reason="KerasTuner is not installed; only its own answers need it")
    assert KerasTunerBuilder(build)({}) == build(keras_tuner.HyperParameters())
    space = SearchSpace.from_keras_tuner(build)
    rng = np.random.default_rng(2)
    for _ in range(50):
        params = space.sample(rng)
        theirs = keras_tuner.HyperParameters()
        build(theirs)  # as it does before it fills values in
        theirs.values = {name.replace("conv_", "conv/"): value for name, value in params.items()}
        for hyperparameter in theirs.space:  # by name, because two scopes may share one
            if not theirs.is_active(hyperparameter.name):
                theirs.values.pop(hyperparameter.name, None)
        given, own = KerasTunerBuilder(build)(params), build(theirs)
        given.pop("values", None), own.pop("values", None)
        assert given == own


def test_a_builder_that_only_calls_its_params_hp_gets_their_values() -> None:
    def build(hp: Any) -> Any:
        return hp["units"], hp.get("rate")

    assert KerasTunerBuilder(build)({"units": 8, "rate": 0.1}) == (8, 0.1)
    with pytest.raises(KeyError, match="depth does not exist"):
        KerasTunerBuilder(lambda hp: hp["depth"])({"units": 8})
