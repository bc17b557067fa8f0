"""How many values of each parameter a grid has, and which.

Knows a space and how many full trainings are affordable. Must not know in what order a grid is visited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, log
from typing import Annotated, Literal

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.options import Options, options_from
from bandstand_spaces import Categorical, Float, Int, Parameter, SearchSpace, Value

__all__ = ["GridOptions", "affordable_trainings", "grid_of", "points_per_parameter"]

Points = Annotated[int, Field(ge=1, le=10_000)]

_USUAL_POINTS = 5
"""Values of a number where no budget says how many trainings there will be."""
_USUAL_SIZE = 10_000
"""Points of such a grid at most, unless its choices alone are more."""


class GridOptions(Options):
    """Options of sampler grid."""

    points: Points | Literal["auto"] | dict[str, Points] | None = None
    """Number of values that each numeric parameter has in the grid. The values are evenly spaced on the parameter's
    scale and include both ends. A single number holds for all numeric parameters. A table sets one for each parameter
    that it names, such as `{ units = 3 }`. `"auto"` chooses the finest grid that the budget can train in full. Default:
    every value of the space, which must then be finite."""


def grid_of(spec: Problem) -> SearchSpace:
    """The space whose points are the study's grid: the study's own, or one with fewer values of each number.

    Raises:
        ValueError: an option breaks a rule, or a parameter would have infinitely many values.
    """
    points = options_from("sampler grid", GridOptions, spec.sampler_options).points
    counts: Mapping[str, int]
    if points is None:
        counts = {}
    elif points == "auto":
        counts = _affordable_points(spec)
    elif isinstance(points, dict):
        counts = points
        _check_names(spec.space, points)
    else:
        counts = dict.fromkeys(_numbers(spec.space), points)
    space = _thinned(spec.space, counts)
    for name, parameter, _ in space.flat():
        if parameter.size is None:
            raise ValueError(
                f"sampler grid needs a finite space; parameter {name} is continuous: give it a step, set option points "
                'to a number or to "auto", or use sampler random or tpe'
            )
    return space


def points_per_parameter(spec: Problem) -> dict[str, int]:
    """How many values each parameter has in the study's grid."""
    return {name: parameter.size or 0 for name, parameter, _ in grid_of(spec).flat()}


def _numbers(space: SearchSpace) -> dict[str, Float | Int]:
    return {name: parameter for name, parameter, _ in space.flat() if not isinstance(parameter, Categorical)}


def _check_names(space: SearchSpace, points: Mapping[str, int]) -> None:
    numbers = _numbers(space)
    for name in points:
        if name not in numbers:
            known = ", ".join(numbers) or "none"
            raise ValueError(f"option points of sampler grid may name numeric parameters ({known}); got {name!r}")


def _affordable_points(spec: Problem) -> dict[str, int]:
    """As equally many values of each number as a full training of each point allows.

    A value more is given in turn to each number that has the fewest, as long as the grid stays affordable; choices are
    always all there, because leaving one out would be a decision. Where they alone are too many, the grid is cut short.
    """
    trainings = affordable_trainings(spec)
    affordable = _USUAL_SIZE if trainings is None else trainings
    usual = _USUAL_POINTS if trainings is None else affordable
    numbers = _numbers(spec.space)
    most = {name: min(number.size or usual, usual) for name, number in numbers.items()}
    counts = dict.fromkeys(numbers, 1)
    growing = list(numbers)
    while growing:
        name = min(growing, key=lambda name: counts[name])
        more = counts | {name: counts[name] + 1}
        if more[name] > most[name] or (_thinned(spec.space, more).size or 0) > affordable:
            growing.remove(name)
        else:
            counts = more
    return counts


def affordable_trainings(spec: Problem) -> int | None:
    """How many full trainings the budget holds; None where it is a time, of which nothing is known before."""
    limits = []
    if spec.budget.epochs is not None:
        limits.append(spec.budget.epochs // spec.max_epochs)
    if spec.budget.trials is not None:
        limits.append(spec.budget.trials)
    return min(limits, default=None)


def _thinned(space: SearchSpace, counts: Mapping[str, int]) -> SearchSpace:
    """The space with so many values of the numbers that `counts` names, and all of the others."""

    def thinned(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        return {name: thin(name, parameter) for name, parameter in parameters.items()}

    def thin(name: str, parameter: Parameter) -> Parameter:
        if isinstance(parameter, Categorical):
            branches = {choice: thinned(below) for choice, below in parameter.branches.items()}
            return Categorical(parameter.choices, branches=branches)
        if name not in counts or (parameter.size is not None and parameter.size <= counts[name]):
            return parameter
        return Categorical(_spread(parameter, counts[name]))

    return SearchSpace(thinned(space.parameters))


def _spread(number: Float | Int, count: int) -> tuple[Value, ...]:
    """So many values, evenly spaced with both ends, fewer where some fall together; a single one is in the middle."""
    fractions = [0.5] if count == 1 else [index / (count - 1) for index in range(count)]
    place = _place_on(number)
    return tuple(dict.fromkeys(place(fraction) for fraction in fractions))


def _place_on(number: Float | Int) -> Callable[[float], Value]:
    """The value at a fraction of the scale, ends included, nearest where there are steps."""
    low, high, size = number.low, number.high, number.size

    def place(fraction: float) -> Value:
        if fraction in (0.0, 1.0):
            return high if fraction else low
        if number.log:
            value = exp((1 - fraction) * log(low) + fraction * log(high))
            return value if isinstance(number, Float) else min(max(round(value), number.low), number.high)
        if size is None:
            return (1 - fraction) * low + fraction * high
        return number.value_at((round(fraction * (size - 1)) + 0.5) / size)

    return place
