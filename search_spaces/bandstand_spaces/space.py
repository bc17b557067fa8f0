"""`SearchSpace`: named parameters, some of which exist only under a choice of another.

Names are flat: `momentum` under `optimizer = sgd` is `momentum` in params, so that a builder reads `params["momentum"]`
and Optuna's plots show it by that name. `parameter_tree` walks them, each after the choice that it hangs on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bandstand_spaces.keras_tuner import parameters_from_keras_tuner
from bandstand_spaces.parameter_tree import (
    FlatParameter,
    count_points,
    draw_params,
    flat_parameters,
    grid_points,
    sample_params,
)
from bandstand_spaces.parameters import Parameter, frozen_parameters
from bandstand_spaces.ray_tune import parameters_from_tune, tune_from_parameters
from bandstand_spaces.serialization import parameters_from_dict, parse_json, parse_toml
from bandstand_spaces.toml_writer import make_toml
from bandstand_spaces.values import Value

if TYPE_CHECKING:
    import numpy as np
    import optuna

# 512 is the width of the column in which Optuna keeps a parameter's name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,511}")


@dataclass(frozen=True)
class SearchSpace:
    """What a study may try: parameters by name, in an order that belongs to the space.

    Attributes:
        parameters: The top level; branches hang below its `Categorical` parameters.
    """

    parameters: Mapping[str, Parameter]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", frozen_parameters(self.parameters))
        if not self.parameters:
            raise ValueError("a search space must have a parameter; got none; for a constant use Categorical([value])")
        seen: set[str] = set()
        for name, _, _ in self.flat():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(
                    "a parameter's name must be letters, digits and underscores, with no digit first and "
                    f"512 characters at most; got {name!r}; rename it"
                )
            if name in seen:
                raise ValueError(
                    f"a name must be used once in the whole space; got {name!r} twice; move it up to where both "
                    f"branches share it, or rename one, as in sgd_{name}"
                )
            seen.add(name)

    def flat(self) -> tuple[FlatParameter, ...]:
        """All parameters of the tree in definition order, each after the choice that it hangs on."""
        return tuple(flat_parameters(self.parameters))

    @property
    def size(self) -> int | None:
        """The number of points in the grid, a branch counting only under its choice; None if it is infinite."""
        return count_points(self.parameters)

    def grid(self) -> Iterator[dict[str, Value]]:
        """All points as params, each once; the last parameter varies fastest.

        Raises:
            ValueError: a parameter is continuous.
        """
        for name, parameter, _ in self.flat():
            if parameter.size is None:
                raise ValueError(f"a grid needs finite parameters; got {name}, which is continuous; give it a step")
        return grid_points(tuple(self.parameters.items()))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Random params; one number is drawn from `rng` for each active parameter, in definition order."""
        return sample_params(self.parameters, rng)

    def params_by(self, choose: Callable[[str, Parameter], Value]) -> dict[str, Value]:
        """The params in which each active parameter has the value that `choose(name, parameter)` gives it.

        Args:
            choose: asked in definition order, for a branch's parameters after the choice that they hang on; its values
                are not checked.
        """
        return draw_params(self.parameters, choose)

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
        """The params that `trial` suggests; only active parameters are asked for."""
        return draw_params(self.parameters, lambda name, parameter: parameter.suggest(name, trial))

    def check(self, params: Mapping[str, object]) -> None:
        """Does nothing if `params` are a point of this space.

        Raises:
            ValueError: a name is unknown, missing, or inactive under the choices made; a value is out of range.
        """
        conditions = {name: condition for name, _, condition in self.flat()}
        for name in params:
            if name not in conditions:
                raise ValueError(f"params must be among {', '.join(conditions)}; got {name!r}; remove or rename it")
        active = draw_params(self.parameters, lambda name, parameter: _checked_value(name, parameter, params))
        for name in params:
            if name not in active:
                needs = " and ".join(f"{parent}={choice!r}" for parent, choice in conditions[name])
                raise ValueError(f"{name} exists only with {needs}; got {name}={params[name]!r} without; remove it")

    def distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """Optuna's distribution of each parameter in the whole tree, active or not."""
        return {name: parameter.distribution() for name, parameter, _ in self.flat()}

    def to_dict(self) -> dict[str, Any]:
        """The space as plain data; `bandstand_spaces.serialization` describes the form."""
        return {name: parameter.to_dict() for name, parameter in self.parameters.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSpace:
        """The space that `to_dict` wrote; ValueError names the parameter that breaks a rule."""
        return cls(parameters_from_dict(data))

    def to_json(self) -> str:
        """The space as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> SearchSpace:
        """The space in JSON text; ValueError where it is not valid."""
        return cls(parameters_from_dict(parse_json(text)))

    def to_toml(self) -> str:
        """The space as TOML text, one table a parameter."""
        return make_toml(self.to_dict())

    @classmethod
    def from_toml(cls, text: str) -> SearchSpace:
        """The space in TOML text; ValueError where it is not valid."""
        return cls(parameters_from_dict(parse_toml(text)))

    @classmethod
    def from_tune(cls, config: Mapping[str, Any]) -> SearchSpace:
        """The space that a Ray Tune config (`param_space`) describes.

        Bounds stay where Tune draws: the exclusive upper bound of `randint` and `lograndint` becomes an inclusive one,
        `qrandint` ends at the multiples of q within its bounds. `grid_search` becomes a `Categorical`, which the
        sampler `grid` tries in full; a constant becomes a `Categorical` of one choice. A nested dict is flattened, its
        keys joined by an underscore: `{"adam": {"beta": ...}}` is the parameter `adam_beta`.

        Raises:
            ValueError: an entry has no counterpart, such as `randn`, `sample_from` and, for having both a step and a
                log scale, `qloguniform` and `qlograndint`; the message names it and the way out.
        """
        return cls(parameters_from_tune(config))

    def to_tune(self) -> dict[str, Any]:
        """The space as a Ray Tune config, with all its values and no others; imports Ray.

        A step becomes `quniform` or `qrandint`, which draw multiples of the step only; where the values are none, it
        becomes a `choice` of them. `from_tune` gives the same space back, but for those choices.

        Raises:
            ValueError: the space has branches; Tune's samplers know no conditions.
        """
        return tune_from_parameters(self.parameters)

    @classmethod
    def from_keras_tuner(cls, build_model: Callable[[Any], Any], *, max_builds: int = 100) -> SearchSpace:
        """The space that a KerasTuner `build_model(hp)` asks for, found by building models; needs no KerasTuner.

        The builder runs with its defaults, then with other values of what it asked for, until neither these nor random
        ones bring up anything new. Under a `conditional_scope` on one value of a `Choice` or `Boolean` a
        hyperparameter goes into that choice's branch; under any other condition it is drawn always and used where
        `hp` says so. In a name all but letters, digits and underscores becomes an underscore: `cnn/units` is
        `cnn_units`. The largest value is one that can be reached by steps, as in KerasTuner.

        Args:
            build_model: a function of `hp`, or `MyHyperModel().build`. It is called dozens of times, so call this
                where workers do not come by: under `if __name__ == "__main__"`, or in the function that makes the
                study.
            max_builds: models to build at most; past it a warning says that there may be more to find. What is only
                found in training keeps its default there, and a note of the study says so.

        Raises:
            ValueError: the builder raises with its defaults, or a hyperparameter has no counterpart, such as one with
                `sampling="reverse_log"`, or one name for two different ranges.
        """
        return cls(parameters_from_keras_tuner(build_model, max_builds=max_builds))


def _checked_value(name: str, parameter: Parameter, params: Mapping[str, object]) -> Value:
    if name not in params:
        raise ValueError(f"params must give every active parameter a value; got none for {name}; add it")
    parameter.check(name, params[name])
    value: Value = params[name]  # type: ignore[assignment]  # the check has just shown that it is one
    return value
