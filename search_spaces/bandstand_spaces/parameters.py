"""What one hyperparameter may be: `Float`, `Int` or `Categorical`.

A parameter knows its values and nothing of how they are searched. Its rules are those of the places where it will live:
Optuna computes with float64, PostgreSQL keeps text and JSON. A parameter that could not come back from there as it went
in is refused when it is written down, not when a study is resumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from bandstand_spaces.frozen_mapping import FrozenMapping
from bandstand_spaces.values import (
    GRID_TOLERANCE,
    Value,
    as_bool,
    as_float,
    as_int,
    check_fraction,
    check_range,
    check_step,
    checked_choices,
    grid_value,
    is_integer,
    is_number,
    is_same_choice,
    key_of,
    last_grid_value,
    unreachable,
)

if TYPE_CHECKING:
    import optuna

Parameter: TypeAlias = "Float | Int | Categorical"


@dataclass(frozen=True)
class Float:
    """A real number from `low` to `high`, both included.

    Attributes:
        low: The smallest value. With `log` it must be above 0.
        high: The largest value. With `step` it must be `low` plus a whole number of steps. Decimals are used, so that
            `Float(0, 0.1 + 0.2, step=0.1)` ends at 0.3.
        log: Whether the logarithm is searched evenly: as many draws between 0.001 and 0.01 as between 0.01 and 0.1.
        step: The distance between neighbouring values. None for a continuous parameter, which has no grid.

    Raises:
        ValueError: a rule is broken. The message gives the rule, the value and the way out.

    Example:
        >>> from bandstand_spaces import Float
        >>> Float(0.0, 0.5, step=0.25).grid()
        (0.0, 0.25, 0.5)
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        for bound in ("low", "high"):
            object.__setattr__(self, bound, as_float(bound, getattr(self, bound)))
        check_range(self.low, self.high, as_bool("log", self.log))
        if self.step is not None:
            object.__setattr__(self, "step", as_float("step", self.step))
            check_step(self.step, self.log)
            object.__setattr__(self, "high", last_grid_value(self.low, self.high, self.step))

    @property
    def size(self) -> int | None:
        """The number of values. None for a continuous parameter."""
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def grid(self) -> tuple[float, ...] | None:
        """All values in ascending order. None for a continuous parameter."""
        if self.step is None or self.size is None:
            return None
        return tuple(grid_value(self.low, self.step, index) for index in range(self.size))

    def value_at(self, u: float) -> float:
        """The value at the fraction 0 <= `u` < 1 of the range. ValueError for other fractions.

        A uniform `u` gives a uniform value, or with `log` a uniform logarithm.
        """
        check_fraction(u)
        if self.step is not None and self.size is not None:
            return grid_value(self.low, self.step, int(u * self.size))
        if self.log:
            value = math.exp((1 - u) * math.log(self.low) + u * math.log(self.high))
        else:
            value = (1 - u) * self.low + u * self.high
        return min(max(value, self.low), self.high)

    def contains(self, value: object) -> bool:
        """Whether `value` is a value of this parameter. An int counts as a float, as in JSON."""
        if not is_number(value) or not self.low <= value <= self.high:
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) < GRID_TOLERANCE

    def check(self, name: str, value: object) -> None:
        """Raise a ValueError that names the parameter as `name`, unless `value` is a value of it."""
        if not self.contains(value):
            steps = "" if self.step is None else f" in steps of {self.step}"
            raise _refused(name, f"a number from {self.low} to {self.high}{steps}", value)

    def suggest(self, name: str, trial: optuna.trial.BaseTrial) -> float:
        """The value that an Optuna `trial` suggests for the parameter called `name`."""
        return trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)

    def distribution(self) -> optuna.distributions.FloatDistribution:
        """The same parameter as Optuna's distribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def to_dict(self) -> dict[str, Any]:
        """The parameter as JSON data, without defaults."""
        step = {} if self.step is None else {"step": self.step}
        return {"type": "float", "low": self.low, "high": self.high, **({"log": True} if self.log else {}), **step}


@dataclass(frozen=True)
class Int:
    """An integer from `low` to `high`, both included.

    Attributes:
        low: The smallest value. With `log` it must be above 0.
        high: The largest value. It must be `low` plus a whole number of steps.
        log: Whether the logarithm is searched evenly: as many draws from 1 to 10 as from 10 to 100. Not with `step`.
        step: The distance between neighbouring values.

    Raises:
        ValueError: a rule is broken. The message gives the rule, the value and the way out.

    Example:
        >>> from bandstand_spaces import Int
        >>> Int(16, 64, step=16).grid()
        (16, 32, 48, 64)
    """

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for number in ("low", "high", "step"):
            object.__setattr__(self, number, as_int(number, getattr(self, number)))
        check_range(self.low, self.high, as_bool("log", self.log))
        check_step(self.step, self.log and self.step != 1)
        if (self.high - self.low) % self.step:
            last = self.high - (self.high - self.low) % self.step
            raise unreachable(self.low, self.high, self.step, f"use high={last} or high={last + self.step}")

    @property
    def size(self) -> int:
        """The number of values."""
        return (self.high - self.low) // self.step + 1

    def grid(self) -> tuple[int, ...]:
        """All values in ascending order."""
        return tuple(range(self.low, self.high + 1, self.step))

    def value_at(self, u: float) -> int:
        """The value at the fraction 0 <= `u` < 1 of the range. ValueError for other fractions.

        A uniform `u` gives a uniform value, or with `log` a uniform logarithm.
        """
        check_fraction(u)
        if not self.log:
            return self.low + int(u * self.size) * self.step
        # Half a unit on both sides, as Optuna does: otherwise the two ends get half their share.
        value = round(math.exp((1 - u) * math.log(self.low - 0.5) + u * math.log(self.high + 0.5)))
        return min(max(value, self.low), self.high)

    def contains(self, value: object) -> bool:
        """Whether `value` is a value of this parameter. 3.0 and True are not, because a layer refuses 3.0 units."""
        return is_integer(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def check(self, name: str, value: object) -> None:
        """Raise a ValueError that names the parameter as `name`, unless `value` is a value of it."""
        if not self.contains(value):
            steps = "" if self.step == 1 else f" in steps of {self.step}"
            raise _refused(name, f"an integer from {self.low} to {self.high}{steps}", value)

    def suggest(self, name: str, trial: optuna.trial.BaseTrial) -> int:
        """The value that an Optuna `trial` suggests for the parameter called `name`."""
        return trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step)

    def distribution(self) -> optuna.distributions.IntDistribution:
        """The same parameter as Optuna's distribution."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def to_dict(self) -> dict[str, Any]:
        """The parameter as JSON data, without defaults."""
        step = {} if self.step == 1 else {"step": self.step}
        return {"type": "int", "low": self.low, "high": self.high, **({"log": True} if self.log else {}), **step}


@dataclass(frozen=True, eq=False)
class Categorical:
    """One of a few choices. A choice may have parameters of its own.

    Attributes:
        choices: Strings, integers, floats or booleans. No two may be equal in Python, as 1, 1.0 and True are, or be
            written with the same text, as 1 and "1" are.
        branches: The parameters that exist only with a choice: `{"sgd": {"momentum": Float(0, 0.99)}}`.

    Raises:
        ValueError: a rule is broken. The message gives the rule, the value and the way out.

    Example:
        >>> from bandstand_spaces import Categorical, Float
        >>> optimizer = Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.0, 0.99)}})
        >>> list(optimizer.branch("sgd"))
        ['momentum']
    """

    choices: Sequence[Value]
    _: KW_ONLY
    branches: Mapping[Value, Mapping[str, Parameter]] = field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", checked_choices(self.choices))
        object.__setattr__(self, "branches", _checked_branches(self.choices, self.branches))

    def __eq__(self, other: object) -> bool:
        """Whether `other` has the same choices of the same types, in the same order, with the same branches."""
        return self._identity() == other._identity() if isinstance(other, Categorical) else NotImplemented

    def __hash__(self) -> int:
        """A hash that agrees with equality."""
        return hash(self._identity())

    @property
    def size(self) -> int:
        """The number of choices. Parameters of branches do not count."""
        return len(self.choices)

    def grid(self) -> tuple[Value, ...]:
        """All choices, in definition order."""
        return tuple(self.choices)

    def branch(self, choice: Value) -> Mapping[str, Parameter]:
        """The parameters that exist only with `choice`. Empty if there are none."""
        return self.branches.get(choice, FrozenMapping())

    def value_at(self, u: float) -> Value:
        """The choice at the fraction 0 <= `u` < 1 of the list. ValueError for other fractions."""
        check_fraction(u)
        return self.choices[int(u * self.size)]

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the choices. True is not the choice 1."""
        return any(is_same_choice(choice, value) for choice in self.choices)

    def check(self, name: str, value: object) -> None:
        """Raise a ValueError that names the parameter as `name`, unless `value` is a value of it."""
        if not self.contains(value):
            raise _refused(name, f"one of {', '.join(map(repr, self.choices))}", value)

    def suggest(self, name: str, trial: optuna.trial.BaseTrial) -> Value:
        """The value that an Optuna `trial` suggests for the parameter called `name`."""
        return cast(Value, trial.suggest_categorical(name, self.choices))  # Optuna's type also allows None.

    def distribution(self) -> optuna.distributions.CategoricalDistribution:
        """The same parameter as Optuna's distribution, which knows no branches."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)

    def to_dict(self) -> dict[str, Any]:
        """The parameter as JSON data. A choice that is a key is written as text."""
        when = {
            key_of(choice): {name: parameter.to_dict() for name, parameter in branch.items()}
            for choice, branch in self.branches.items()
        }
        return {"type": "categorical", "choices": list(self.choices), **({"when": when} if when else {})}

    def _identity(self) -> tuple[object, ...]:
        return tuple((type(choice), choice) for choice in self.choices), self.branches


def _checked_branches(choices: Sequence[Value], branches: object) -> FrozenMapping[Value, Mapping[str, Parameter]]:
    """`branches` frozen, in the order of `choices`, without the empty ones; ValueError where they break a rule."""
    if not isinstance(branches, Mapping):
        raise ValueError(
            f"branches must map choices to parameters; got {branches!r}; leave branches out if there are none"
        )
    frozen: dict[Value, Mapping[str, Parameter]] = {}
    for choice, parameters in branches.items():
        if not any(is_same_choice(known, choice) for known in choices):
            raise ValueError(
                f"a branch must belong to one of the choices {', '.join(map(repr, choices))}; got {choice!r}; "
                "rename the branch or add the choice"
            )
        frozen[choice] = frozen_parameters(parameters)
    return FrozenMapping((choice, frozen[choice]) for choice in choices if frozen.get(choice))


def frozen_parameters(parameters: object) -> FrozenMapping[str, Parameter]:
    """A copy of `parameters`, name to parameter, that cannot change; ValueError where it is anything else."""
    if not isinstance(parameters, Mapping):
        raise ValueError(
            f"parameters must map names to parameters; got {parameters!r}; write {{'units': Int(16, 128)}}"
        )
    for name, parameter in parameters.items():
        if not isinstance(parameter, Float | Int | Categorical):
            raise ValueError(f"{name} must be a Float, Int or Categorical; got {parameter!r}; use one of these")
    return FrozenMapping(parameters)


def _refused(name: str, rule: str, value: object) -> ValueError:
    return ValueError(f"{name} must be {rule}; got {value!r}; change the value, or widen the space")
