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
    """The parameters that a study searches, by name. Their order belongs to the space.

    Attributes:
        parameters: The parameters at the top level. A `Categorical` may have further parameters in its branches.

    Raises:
        ValueError: the space is empty, a name is not valid, or a name occurs twice.

    Example:
        >>> from bandstand_spaces import Categorical, Float, Int, SearchSpace
        >>> space = SearchSpace(
        ...     {
        ...         "units": Int(16, 128, step=16),
        ...         "optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.0, 0.99)}}),
        ...     }
        ... )
        >>> space.check({"units": 32, "optimizer": "sgd", "momentum": 0.9})
        >>> [name for name, parameter, condition in space.flat()]
        ['units', 'optimizer', 'momentum']
    """

    parameters: Mapping[str, Parameter]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", frozen_parameters(self.parameters))
        if not self.parameters:
            raise ValueError(
                "a search space must have at least one parameter; got none; for a constant use Categorical([value])"
            )
        seen: set[str] = set()
        for name, _, _ in self.flat():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(
                    "a parameter's name must have 1 to 512 letters, digits and underscores, and must not begin with a "
                    f"digit; got {name!r}; rename it"
                )
            if name in seen:
                raise ValueError(
                    f"a name must occur once in the whole space; got {name!r} twice; move the parameter above both "
                    f"branches, or rename one, for example to sgd_{name}"
                )
            seen.add(name)

    def flat(self) -> tuple[FlatParameter, ...]:
        """All parameters in definition order. A parameter of a branch comes after its `Categorical`."""
        return tuple(flat_parameters(self.parameters))

    @property
    def size(self) -> int | None:
        """The number of points in the grid. A branch counts only for its choice. None if the grid is infinite."""
        return count_points(self.parameters)

    def grid(self) -> Iterator[dict[str, Value]]:
        """All points of the grid as params, each once. The last parameter varies fastest.

        Raises:
            ValueError: a parameter is continuous.
        """
        for name, parameter, _ in self.flat():
            if parameter.size is None:
                raise ValueError(f"a grid needs finite parameters; got {name}, which is continuous; give it a step")
        return grid_points(tuple(self.parameters.items()))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Random params. This draws one number from `rng` for each active parameter, in definition order.

        Example:
            >>> import numpy as np
            >>> from bandstand_spaces import Int, SearchSpace
            >>> sorted(SearchSpace({"units": Int(16, 128, step=16)}).sample(np.random.default_rng(0)))
            ['units']
        """
        return sample_params(self.parameters, rng)

    def params_by(self, choose: Callable[[str, Parameter], Value]) -> dict[str, Value]:
        """The params in which each active parameter has the value that `choose(name, parameter)` gives it.

        Args:
            choose: called in definition order, and for a branch's parameters after their choice. The values that it
                returns are not checked.
        """
        return draw_params(self.parameters, choose)

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
        """The params that an Optuna `trial` suggests. Only active parameters are asked for."""
        return draw_params(self.parameters, lambda name, parameter: parameter.suggest(name, trial))

    def check(self, params: Mapping[str, object]) -> None:
        """Check that `params` are a point of this space.

        Raises:
            ValueError: a name is unknown, missing, or not active with these choices, or a value is out of range.
        """
        conditions = {name: condition for name, _, condition in self.flat()}
        for name in params:
            if name not in conditions:
                raise ValueError(
                    f"params must be parameters of the space ({', '.join(conditions)}); got {name!r}; remove or "
                    "rename it"
                )
        active = draw_params(self.parameters, lambda name, parameter: _checked_value(name, parameter, params))
        for name in params:
            if name not in active:
                needs = " and ".join(f"{parent}={choice!r}" for parent, choice in conditions[name])
                raise ValueError(
                    f"{name} exists only with {needs}; got {name}={params[name]!r} with another choice; remove it"
                )

    def distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """Optuna's distribution of each parameter, whether it is active or not."""
        return {name: parameter.distribution() for name, parameter, _ in self.flat()}

    def to_dict(self) -> dict[str, Any]:
        """The space as plain data: a dict with a table for each parameter, as in a study file."""
        return {name: parameter.to_dict() for name, parameter in self.parameters.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSpace:
        """The space that `to_dict` wrote.

        Raises:
            ValueError: a parameter breaks a rule. The message names it.
        """
        return cls(parameters_from_dict(data))

    def to_json(self) -> str:
        """The space as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> SearchSpace:
        """The space in JSON text. ValueError if it is not valid."""
        return cls(parameters_from_dict(parse_json(text)))

    def to_toml(self) -> str:
        """The space as TOML text, with one table for each parameter."""
        return make_toml(self.to_dict())

    @classmethod
    def from_toml(cls, text: str) -> SearchSpace:
        """The space in TOML text. ValueError if it is not valid."""
        return cls(parameters_from_dict(parse_toml(text)))

    @classmethod
    def from_tune(cls, config: Mapping[str, Any]) -> SearchSpace:
        """The space that a Ray Tune config (`param_space`) describes.

        The space has the values that Tune draws. `randint` and `lograndint` have an exclusive upper bound, which
        becomes an inclusive one. `qrandint` ends at the multiples of q within its bounds. `grid_search` becomes a
        `Categorical`, and a constant becomes a `Categorical` with one choice. A nested dict is flattened, and an
        underscore joins its keys: `{"adam": {"beta": ...}}` becomes the parameter `adam_beta`.

        Raises:
            ValueError: an entry has no counterpart. `randn` has no bounds, `sample_from` is code, and `qloguniform` and
                `qlograndint` have both a step and a log scale. The message names the entry and the way out.
        """
        return cls(parameters_from_tune(config))

    def to_tune(self) -> dict[str, Any]:
        """The space as a Ray Tune config with exactly the same values. This imports Ray.

        A parameter with a step becomes `quniform` or `qrandint`, which draw multiples of the step. If its values are
        not multiples of the step, it becomes a `choice` of them. `from_tune` gives the same space back, except for
        these.

        Raises:
            ValueError: the space has branches, and Tune's samplers know no conditions.
        """
        return tune_from_parameters(self.parameters)

    @classmethod
    def from_keras_tuner(cls, build_model: Callable[[Any], Any], *, max_builds: int = 100) -> SearchSpace:
        """The space that a KerasTuner `build_model(hp)` asks for. KerasTuner need not be installed.

        This calls the builder with its defaults, then with other values of the hyperparameters that it asked for, until
        it asks for nothing new. A hyperparameter in a `conditional_scope` on one value of a `Choice` or `Boolean` goes
        into the branch of that choice. With any other condition it is always drawn, and used only when `hp` says so. In
        a name, each character that is no letter, digit or underscore becomes an underscore: `cnn/units` becomes
        `cnn_units`. As in KerasTuner, the largest value is the last one that the steps reach.

        Args:
            build_model: a function of `hp`, or `MyHyperModel().build`. It is called dozens of times, so call this under
                `if __name__ == "__main__"` or in the function that makes the study, where no worker runs it.
            max_builds: largest number of models to build. A warning says if there may be more hyperparameters. One that
                is found only in training keeps its default, and a note of the study names it.

        Raises:
            ValueError: the builder raises an error with its defaults, or a hyperparameter has no counterpart: it has
                `sampling="reverse_log"`, or one name has two different ranges.
        """
        return cls(parameters_from_keras_tuner(build_model, max_builds=max_builds))


def _checked_value(name: str, parameter: Parameter, params: Mapping[str, object]) -> Value:
    if name not in params:
        raise ValueError(f"params must have a value for each active parameter; got none for {name}; add one")
    parameter.check(name, params[name])
    value: Value = params[name]  # type: ignore[assignment]  # the check has just shown that it is one
    return value
