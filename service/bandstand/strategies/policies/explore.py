"""How a member of a population gets params a little different from its parent's.

Knows parameters and what a small change of each is. Must not know who is whose parent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from bandstand.strategies.options import Options
from bandstand_spaces import Categorical, Float, Parameter, SearchSpace

if TYPE_CHECKING:
    import numpy as np


__all__ = ["Change", "Factors", "Resample", "Rule", "check_changeable", "explored", "usually_changed"]


def _one_down_one_up(factors: tuple[float, float]) -> tuple[float, float]:
    down, up = factors
    if not 0 < down < 1 < up:
        raise ValueError("one below and one above 1, such as [0.8, 1.2]")
    return factors


Factors = Annotated[tuple[float, float], AfterValidator(_one_down_one_up)]
"""Two factors, one below and one above 1. A number that changes is multiplied by one of them, chosen at random."""
Resample = Annotated[float, Field(ge=0, le=1)]
"""Probability that a parameter that changes is drawn anew from its range and is not perturbed."""


class Rule(Options):
    """How one parameter changes. A value that is left out is the one that holds for all parameters."""

    factors: Factors | None = None
    """Two factors, one below and one above 1. When the parameter changes, it is multiplied by one of them. Default: the
    option `factors`."""
    resample: Resample | None = None
    """Probability that the parameter is drawn anew from its range when it changes. Default: the option `resample`."""

    @model_validator(mode="before")
    @classmethod
    def _says_nothing_else(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and set(given) <= set(cls.model_fields):
            return given
        raise ValueError(f"a table of {' and '.join(cls.model_fields)}")


class Change(NamedTuple):
    """How a parameter changes."""

    factors: tuple[float, float]
    """A number is multiplied by one or the other; where its range holds 0, it moves by as much of the range as the
    factor differs from 1, halved. A whole number moves by at least a step, an ordered choice to a neighbour, any other
    choice is drawn anew."""
    resample: float
    """Probability that it is drawn anew instead."""


def usually_changed(space: SearchSpace, batch_size: int | str) -> tuple[str, ...]:
    """The parameters that a running training can do with another value of, as far as their kinds tell.

    Floats are rates, momenta, decays and dropouts; whole numbers and choices are mostly sizes and kinds of layers, on
    which a checkpoint's weights depend. The batch size is an exception.
    """
    return tuple(name for name, parameter, _ in space.flat() if isinstance(parameter, Float) or name == batch_size)


def check_changeable(space: SearchSpace, names: Collection[str], option: str) -> None:
    """Refuse names that are not parameters, or that decide which others there are.

    Raises:
        ValueError: one line.
    """
    parameters = {name: parameter for name, parameter, _ in space.flat()}
    for name in names:
        if name not in parameters:
            raise ValueError(f"{option} must name parameters of the space: {', '.join(parameters)}; got {name!r}")
        parameter = parameters[name]
        if isinstance(parameter, Categorical) and parameter.branches:
            raise ValueError(
                f"{option} must not name a parameter that other parameters depend on; got {name!r}: name those instead"
            )


def explored(
    params: Mapping[str, Any], space: SearchSpace, changes: Mapping[str, Change], rng: np.random.Generator
) -> dict[str, Any]:
    """Perturb or resample some params (Jaderberg et al., Population Based Training, 2017, section 3).

    Args:
        params: the parent's.
        space: theirs.
        changes: what may change, where it is active, and how.
        rng: draws.
    """
    changed = dict(params)
    for name, parameter, _ in space.flat():
        if name in changes and name in params:
            factors, resample = changes[name]
            anew = rng.random() < resample
            draw, factor = rng.random(), factors[int(rng.integers(2))]
            changed[name] = parameter.value_at(draw) if anew else _perturbed(parameter, params[name], factor, draw)
    return changed


def _perturbed(parameter: Parameter, value: Any, factor: float, draw: float) -> Any:
    if isinstance(parameter, Categorical):
        return _neighbour(parameter, value, factor, draw)
    half_range = (parameter.high - parameter.low) / 2
    wanted = value * factor if parameter.low > 0 else value + half_range * (factor - 1)
    if isinstance(parameter, Float) and parameter.step is None:
        return min(max(wanted, parameter.low), parameter.high)
    step = parameter.step or 1
    moved = wanted - value
    steps = max(1, round(abs(moved) / step)) * (1 if moved > 0 or (moved == 0 and factor > 1) else -1)
    grid = parameter.grid()
    assert grid is not None
    index = min(range(len(grid)), key=lambda place: abs(grid[place] - value))
    return grid[min(max(index + steps, 0), len(grid) - 1)]


def _neighbour(parameter: Categorical, value: Any, factor: float, draw: float) -> Any:
    choices = list(parameter.choices)
    numbers = [choice for choice in choices if isinstance(choice, int | float) and not isinstance(choice, bool)]
    if len(numbers) < len(choices):
        return parameter.value_at(draw)
    ordered = sorted(numbers)
    index = ordered.index(value) + (1 if factor > 1 else -1)
    return ordered[min(max(index, 0), len(ordered) - 1)]
