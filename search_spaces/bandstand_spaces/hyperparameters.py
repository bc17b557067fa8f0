"""`HyperParameters`: the `hp` from which a KerasTuner `build_model(hp)` takes its values, without KerasTuner.

It answers as KerasTuner's own does, which a test shows where that is installed: an inactive hyperparameter is None and
has no value, the first of two declarations under one name and the same conditions counts, code under an inactive scope
runs.
What it adds is a record of what was asked for, from which `bandstand_spaces.keras_tuner` makes a space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bandstand_spaces.parameters import Categorical, Float, Int, Parameter
from bandstand_spaces.values import Value, is_same_choice

__all__ = ["Condition", "Declaration", "HyperParameters", "param_name"]

_SAMPLINGS = ("linear", "log", "reverse_log")


@dataclass(frozen=True)
class Condition:
    """What a scope asks for: that the hyperparameter `parent` is active and has one of `values`."""

    parent: str
    values: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A hyperparameter as a builder declared it.

    Attributes:
        name: As KerasTuner knows it, name scopes included.
        conditions: Those of the scopes around it, from the outermost in.
        is_number: Whether it is an `Int` or a `Float`, whose values lie in order.
        is_active: Whether all of them held in that build.
        make: The parameter for a space; ValueError where there is none.
    """

    name: str
    conditions: tuple[Condition, ...]
    is_number: bool
    is_active: bool
    make: Callable[[], Parameter]


def param_name(name: str) -> str:
    """The name in params of the hyperparameter that a builder calls `name`: letters, digits and underscores."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain


class HyperParameters:
    """The `hp` of one build.

    Attributes:
        values: The active hyperparameters declared so far, by KerasTuner's names.
        declarations: What was declared, inactive ones included, in that order.
        defaulted: What had no value in params and took its default, by its name in params. `Fixed` is never among it.
        active_scopes: The conditions of each scope that was entered and held; `inactive_scopes`: that did not hold.
    """

    def __init__(self, params: Mapping[str, Value] | None = None) -> None:
        """An `hp` that gives the values in `params`, and the default to whatever has none there."""
        self.values: dict[str, Any] = {}
        self.declarations: list[Declaration] = []
        self.defaulted: dict[str, Value] = {}
        self.active_scopes: list[tuple[Condition, ...]] = []
        self.inactive_scopes: list[tuple[Condition, ...]] = []
        self._params = dict(params or {})
        self._name_scopes: list[str] = []
        self._conditions: list[Condition] = []

    def Int(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """An integer from `min_value` to `max_value`, both included; None where it is inactive.

        With `sampling="log"` the step is a factor: 2 to 32 by 2 is 2, 4, 8, 16, 32.
        """

        def make() -> Parameter:
            return _int_parameter(min_value, max_value, step, _checked_sampling(sampling, min_value, step))

        return self._declare(name, min_value if default is None else default, make, int, parent_name, parent_values)

    def Float(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A real number from `min_value` to `max_value`, both included; None where it is inactive.

        With `sampling="log"` the step is a factor: 0.001 to 1 by 10 is 0.001, 0.01, 0.1, 1.
        """

        def make() -> Parameter:
            return _float_parameter(min_value, max_value, step, _checked_sampling(sampling, min_value, step))

        start = float(min_value) if default is None else float(default)
        return self._declare(name, start, make, float, parent_name, parent_values)

    def Choice(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of `values`, by default the first; None where it is inactive. `ordered` is no property of our choices."""
        # KerasTuner makes integers of booleans here.
        choices = [int(value) if isinstance(value, bool) else value for value in values]

        def known(value: Any) -> Any:
            return next((choice for choice in choices if is_same_choice(choice, value)), value)

        if default is not None and default not in choices:
            raise ValueError(f"{name}: default must be one of the values {choices!r}; got {default!r}; change it")
        start = default if default is not None else next(iter(choices), None)
        return self._declare(name, start, lambda: Categorical(choices), known, parent_name, parent_values)

    def Boolean(
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False; None where it is inactive."""
        return self._declare(name, default, lambda: Categorical([False, True]), bool, parent_name, parent_values)

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:
        """`value`, whatever params say; None where it is inactive. In a space it is a choice without alternative."""
        return self._declare(
            name, value, lambda: Categorical([value]), lambda _: value, parent_name, parent_values, is_fixed=True
        )

    def get(self, name: str) -> Any:
        """The value of the active hyperparameter `name` of the current name scope.

        One that the space has need not be declared, so that a builder may call its params `hp` without being one of
        KerasTuner's.

        Raises:
            ValueError: it is inactive.
            KeyError: neither this build nor the space has it.
        """
        full = self._full(name)
        if full in self.values:
            return self.values[full]
        if any(declaration.name == full for declaration in self.declarations):
            raise ValueError(f"{full} is currently inactive.")
        if full in self._params:
            return self._params[full]
        raise KeyError(f"{full} does not exist.")

    def __getitem__(self, name: str) -> Any:
        """As `get`."""
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        """Whether `name` is declared and active."""
        return self._full(name) in self.values

    def is_active(self, name: str) -> bool:
        """Whether a hyperparameter of this full name is declared and all its conditions hold."""
        return name in self.values

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Within it, `units` is `name/units`."""
        self._name_scopes.append(str(name))
        try:
            yield
        finally:
            self._name_scopes.pop()

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Within it, hyperparameters are active only while `parent_name` has one of `parent_values`.

        Raises:
            ValueError: the parent is not declared yet.
        """
        parent = self._full(parent_name)
        if not any(declaration.name == parent for declaration in self.declarations):
            raise ValueError(f"a scope's parent must be declared before the scope; got {parent!r}; declare it first")
        listed = isinstance(parent_values, Sequence | set | range) and not isinstance(parent_values, str)
        self._conditions.append(Condition(parent, tuple(parent_values if listed else [parent_values])))
        (self.active_scopes if self._holds() else self.inactive_scopes).append(tuple(self._conditions))
        try:
            yield
        finally:
            self._conditions.pop()

    def _declare(
        self,
        name: str,
        default: Any,
        make: Callable[[], Parameter],
        cast: Callable[[Any], Any],
        parent_name: str | None,
        parent_values: Any,
        *,
        is_fixed: bool = False,
    ) -> Any:
        if parent_name:
            with self.conditional_scope(parent_name, parent_values):
                return self._declare(name, default, make, cast, None, None, is_fixed=is_fixed)
        full, active = self._full(name), self._holds()
        if any(condition.parent == full for condition in self._conditions):
            raise ValueError(f"a hyperparameter must not be its own condition; got {full!r}; rename one of the two")
        self.declarations.append(
            Declaration(
                name=full,
                conditions=tuple(self._conditions),
                is_number=cast in (int, float),
                is_active=active,
                make=make,
            )
        )
        if not active:
            return None
        if full not in self.values:
            param = param_name(full)
            if param in self._params:
                self.values[full] = cast(self._params[param])
            else:
                self.values[full] = default
                if not is_fixed:
                    self.defaulted[param] = default
        return self.values[full]

    def _holds(self) -> bool:
        return all(self.values.get(each.parent, each) in each.values for each in self._conditions)

    def _full(self, name: str) -> str:
        return "/".join([*self._name_scopes, str(name)])


def _checked_sampling(sampling: str | None, low: float, step: float | None) -> str:
    kind = (sampling or "linear").lower()
    if kind not in _SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(_SAMPLINGS)}; got {sampling!r}; correct it")
    if kind == "reverse_log":
        raise ValueError(
            "sampling must be linear or log, because a space has no reverse_log; use log for the distance from the "
            "upper bound, and subtract it in the builder"
        )
    if kind == "log" and low <= 0:
        raise ValueError(f"sampling log needs min_value > 0; got {low}; raise it, or use linear")
    if kind == "log" and step is not None and step <= 1:
        raise ValueError(f"step must be > 1 with sampling log, because it is a factor there; got {step}; raise it")
    return kind


def _int_parameter(low: int, high: int, step: int | None, sampling: str) -> Parameter:
    if low == high:
        return Categorical([low])
    if sampling == "log":
        return Int(low, high, log=True) if step is None else Categorical([int(v) for v in _powers(low, high, step)])
    step = step or 1
    last = low + (high - low) // step * step if high > low else high
    return Categorical([low]) if low == last else Int(low, last, step=step)


def _float_parameter(low: float, high: float, step: float | None, sampling: str) -> Parameter:
    if low == high:
        return Categorical([float(low)])
    if sampling == "log":
        return Float(low, high, log=True) if step is None else Categorical(_powers(low, high, step))
    if step is None or step <= 0 or low > high:
        return Float(low, high, step=step)
    # In decimals: KerasTuner counts with floats and so leaves 0.5 out of 0 to 0.5 by 0.1, against its own description.
    first, by = Decimal(str(low)), Decimal(str(step))
    last = float(first + (Decimal(str(high)) - first) // by * by)
    return Categorical([float(low)]) if low == last else Float(low, last, step=step)


def _powers(low: float, high: float, factor: float) -> list[float]:
    """`low * factor ** k` up to `high`, in decimals as far as they go."""
    count = int(math.log(high / low, factor) + 1e-8) + 1
    return [float(Decimal(str(low)) * Decimal(str(factor)) ** k) for k in range(count)]
