"""A tree of parameters, some of which exist only under a choice of another, and the ways through it.

Everything that walks the tree (drawing, suggesting, checking) goes through one function, `draw_params`, which visits a
parameter only after the choice that it hangs on. Must not know what a space is asked for, nor who else writes spaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bandstand_spaces.parameters import Categorical, Parameter
from bandstand_spaces.values import Value

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FlatParameter", "count_points", "draw_params", "flat_parameters", "grid_points", "sample_params"]


class FlatParameter(NamedTuple):
    """One parameter of a space: its name, the parameter, and the choices that it needs.

    `condition` holds `(name, choice)` for each choice above the parameter, from the top down. It is empty for a
    parameter at the top level.
    """

    name: str
    parameter: Parameter
    condition: tuple[tuple[str, Value], ...]  # (name, choice) from the top down; empty: always there.


def draw_params(parameters: Mapping[str, Parameter], choose: Callable[[str, Parameter], Value]) -> dict[str, Value]:
    """The params in which each active parameter has the value that `choose(name, parameter)` gives it."""
    params: dict[str, Value] = {}
    for name, parameter in parameters.items():
        params[name] = choose(name, parameter)
        if isinstance(parameter, Categorical):
            params |= draw_params(parameter.branch(params[name]), choose)
    return params


def sample_params(parameters: Mapping[str, Parameter], rng: np.random.Generator) -> dict[str, Value]:
    """Random params; one number is drawn from `rng` for each active parameter, in definition order."""
    return draw_params(parameters, lambda _, parameter: parameter.value_at(float(rng.random())))


def flat_parameters(
    parameters: Mapping[str, Parameter], condition: tuple[tuple[str, Value], ...] = ()
) -> Iterator[FlatParameter]:
    """All parameters of the tree in definition order, each after the choice that it hangs on.

    Args:
        parameters: the top level.
        condition: the choices above them, from the top down.
    """
    for name, parameter in parameters.items():
        yield FlatParameter(name, parameter, condition)
        if isinstance(parameter, Categorical):
            for choice, branch in parameter.branches.items():
                yield from flat_parameters(branch, (*condition, (name, choice)))


def count_points(parameters: Mapping[str, Parameter]) -> int | None:
    """The number of points in the grid, a branch counting only under its choice; None if it is infinite."""
    sizes: list[int | None] = []
    for parameter in parameters.values():
        if isinstance(parameter, Categorical):
            below = [count_points(parameter.branch(choice)) for choice in parameter.choices]
            sizes.append(None if None in below else sum(size for size in below if size is not None))
        else:
            sizes.append(parameter.size)
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def grid_points(items: Sequence[tuple[str, Parameter]]) -> Iterator[dict[str, Value]]:
    """All points as params, each once; the last parameter varies fastest. Continuous parameters have none."""
    if not items:
        yield {}
        return
    (name, parameter), rest = items[0], items[1:]
    for value in parameter.grid() or ():
        branch = parameter.branch(value) if isinstance(parameter, Categorical) else {}
        for below in grid_points(tuple(branch.items())):
            for tail in grid_points(rest):
                yield {name: value, **below, **tail}
