"""`Box`: a search space as columns in [0, 1], which is all that a regression model sees of it.

Between params and columns stand *units*, one number in [0, 1) a parameter: a uniform unit is a uniform value, uniform
on the logarithm where the parameter says so. Numbers with steps sit in the middle of their cells. A number has one
column, a categorical parameter one for each choice, 1 under the choice made.

A conditional space is one flat box. Where a parameter is inactive its columns hold a constant (the middle for a number,
zero for choices), in the trials that are learned from and in the candidates alike, so that points which differ only
in what does not apply are one point to the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from bandstand_spaces.values import grid_value

__all__ = ["Box", "Conditions", "Floats"]

Floats = NDArray[np.float64]
Conditions = Mapping[str, Sequence[tuple[str, Any]]]


class Box:
    """Parameters of more than one value, parents before what hangs below them."""

    def __init__(self, space: Mapping[str, BaseDistribution], conditions: Conditions | None = None):
        """The box of a space.

        Args:
            space: Optuna's distribution of each parameter.
            conditions: for a parameter that does not always exist, the (name, choice) pairs that must all hold. A
                condition on a parameter outside the box counts as met.
        """
        inside = {name: distribution for name, distribution in space.items() if not distribution.single()}
        self._conditions = {
            name: tuple((parent, choice) for parent, choice in (conditions or {}).get(name, ()) if parent in inside)
            for name in inside
        }
        self.names: tuple[str, ...] = tuple(sorted(inside, key=self._generations().__getitem__))
        self._axes = [_axis(inside[name]) for name in self.names]
        self.sizes: tuple[float, ...] = tuple(axis.size for axis in self._axes)
        """How many values each parameter has; infinite where it is continuous."""
        self._index = {name: index for index, name in enumerate(self.names)}
        ends = np.cumsum([axis.width for axis in self._axes], dtype=int)
        self._columns = [slice(end - axis.width, end) for axis, end in zip(self._axes, ends, strict=True)]
        self.width = int(ends[-1]) if self.names else 0
        """Columns of a point."""

    def _generations(self) -> dict[str, int]:
        """How many parameters must be drawn one after the other before each is known to exist."""
        generations: dict[str, int] = {}

        def generation(name: str) -> int:
            if name not in generations:
                above = [parent for parent, _ in self._conditions[name]]
                generations[name] = 1 + max(map(generation, above), default=-1)
            return generations[name]

        return {name: generation(name) for name in self._conditions}

    def units(self, params: Mapping[str, Any]) -> Floats | None:
        """The units of a trial's params, NaN where it has no value; None if a value lies outside of the box."""
        units = np.full(len(self.names), np.nan)
        for index, (name, axis) in enumerate(zip(self.names, self._axes, strict=True)):
            if name in params:
                unit = axis.unit(params[name])
                if unit is None:
                    return None
                units[index] = unit
        return units

    def params(self, units: Floats) -> dict[str, Any]:
        """The point at units: active parameters only, as plain Python values."""
        return self.completed({}, units)

    def completed(self, above: Mapping[str, Any], units: Floats) -> dict[str, Any]:
        """The point that begins as `above` says and goes on at the units of the last parameters."""
        first = len(self.names) - len(units)
        params = dict(above)
        for name, axis, unit in zip(self.names[first:], self._axes[first:], units, strict=True):
            if self.is_active(name, params):
                params[name] = axis.value(float(unit))
        return params

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether a parameter exists where those before it have these values."""
        return all(parent in params and params[parent] == choice for parent, choice in self._conditions[name])

    def places(self, params: Mapping[str, Any]) -> list[int | None] | None:
        """Which of its parameter's values each one is, counted from 0, and None where a trial has no value.

        None for the whole if one of them is none of the values, or one of infinitely many.
        """
        places: list[int | None] = []
        for name, axis in zip(self.names, self._axes, strict=True):
            place = axis.place(params[name]) if name in params else None
            if name in params and (place is None or axis.value_at(place) != params[name]):
                return None
            places.append(place)
        return places

    def value_at(self, name: str, place: int) -> Any:
        """The value in this place among those of a parameter."""
        return self._axes[self._index[name]].value_at(place)

    def value(self, name: str, unit: float) -> Any:
        """The value of a parameter at a unit."""
        return self._axes[self._index[name]].value(unit)

    def columns(self, units: Floats) -> Floats:
        """Rows of units as rows of columns, snapped to steps, constant where a parameter is inactive."""
        columns = np.empty((len(units), self.width))
        active: dict[str, NDArray[np.bool_]] = {}
        for index, (name, axis) in enumerate(zip(self.names, self._axes, strict=True)):
            alive = ~np.isnan(units[:, index])
            for parent, choice in self._conditions[name]:
                above = self._index[parent]
                alive &= active[parent] & self._axes[above].chooses(units[:, above], choice)
            active[name] = alive
            columns[:, self._columns[index]] = axis.columns(np.where(alive, units[:, index], 0.5), alive)
        return columns

    def units_at(self, columns: Floats) -> Floats:
        """The units nearest to one row of columns, such as a maximum between two choices."""
        return np.array([axis.unit_at(columns[part]) for axis, part in zip(self._axes, self._columns, strict=True)])

    def candidates(self, count: int, incumbents: Floats, rng: np.random.Generator) -> Floats:
        """Rows of units to choose from: half anywhere, half near `incumbents` (rows of units), where there are any.

        Near means two parameters changed on average, numbers by a normal step of 2 % or 10 % of their range.
        """
        units = rng.random((count, len(self.names)))
        near = count // 2 if len(incumbents) else 0
        if near:
            centres = incumbents[rng.integers(len(incumbents), size=near)]
            changed = rng.random(centres.shape) < 2 / len(self.names)
            steps = rng.normal(size=centres.shape) * rng.choice([0.02, 0.1], size=(near, 1))
            numeric = np.array([axis.width == 1 for axis in self._axes])
            moved = np.where(numeric, np.clip(centres + steps, 0, np.nextafter(1, 0)), units[:near])
            kept = ~changed & ~np.isnan(centres)
            units[:near] = np.where(kept, centres, np.where(np.isnan(moved), units[:near], moved))
        return units


class _Choices:
    """A categorical parameter."""

    def __init__(self, distribution: CategoricalDistribution):
        self._choices = distribution.choices
        self.size: float = len(self._choices)
        self.width = len(self._choices)

    def unit(self, value: Any) -> float | None:
        for index, choice in enumerate(self._choices):
            if value is choice or (type(value) is type(choice) and value == choice):
                return (index + 0.5) / self.width
        return None

    def value(self, unit: float) -> Any:
        return self._choices[int(unit * self.width)]

    def place(self, value: Any) -> int | None:
        unit = self.unit(value)
        return None if unit is None else int(unit * self.width)

    def value_at(self, place: int) -> Any:
        return self._choices[place]

    def chooses(self, units: Floats, choice: Any) -> NDArray[np.bool_]:
        wanted = next((index for index, known in enumerate(self._choices) if known == choice), -1)
        chosen = np.where(np.isnan(units), -1, np.floor(units * self.width))
        return np.equal(chosen, wanted)

    def columns(self, units: Floats, alive: NDArray[np.bool_]) -> Floats:
        chosen = np.equal(np.floor(units * self.width)[:, None], np.arange(self.width))
        return (chosen & alive[:, None]).astype(np.float64)

    def unit_at(self, columns: Floats) -> float:
        return (int(np.argmax(columns)) + 0.5) / self.width


class _Numbers:
    """A float or an int, in steps or not, on its own or a logarithmic scale."""

    width = 1

    def __init__(self, distribution: FloatDistribution | IntDistribution):
        self._given = distribution
        self._whole = isinstance(distribution, IntDistribution)
        self._step = None if distribution.log else distribution.step
        low, high = float(distribution.low), float(distribution.high)
        if self._whole and distribution.log:
            low, high = low - 0.5, high + 0.5  # As Optuna does: otherwise the two ends get half their share.
        self._low, self._high = (math.log(low), math.log(high)) if distribution.log else (low, high)
        self.size: float = math.inf
        if self._step is not None:
            self.size = round((high - low) / self._step) + 1
        elif self._whole:
            self.size = distribution.high - distribution.low + 1

    def unit(self, value: Any) -> float | None:
        if isinstance(value, str | None) or not self._given.low <= value <= self._given.high:
            return None
        if self._step is not None:
            return float((round((value - self._low) / self._step) + 0.5) / self.size)
        scaled = math.log(value) if self._given.log else value
        return min(float((scaled - self._low) / (self._high - self._low)), math.nextafter(1, 0))

    def value(self, unit: float) -> float | int:
        if self._step is not None:
            index = int(unit * self.size)
            if self._whole:
                return int(self._given.low) + index * int(self._step)
            return min(grid_value(self._given.low, self._step, index), self._given.high)
        scaled = (1 - unit) * self._low + unit * self._high
        value = math.exp(scaled) if self._given.log else scaled
        value = min(max(round(value) if self._whole else value, self._given.low), self._given.high)
        return int(value) if self._whole else float(value)

    def place(self, value: Any) -> int | None:
        unit = self.unit(value)
        if unit is None or math.isinf(self.size):
            return None
        place: int = round((value - self._given.low) / (self._step or 1))
        return place

    def value_at(self, place: int) -> float | int:
        if self._whole:
            return int(self._given.low) + place * int(self._given.step or 1)
        return self.value((place + 0.5) / self.size)

    def chooses(self, units: Floats, choice: Any) -> NDArray[np.bool_]:
        return np.array([not math.isnan(unit) and self.value(unit) == choice for unit in units], dtype=bool)

    def columns(self, units: Floats, alive: NDArray[np.bool_]) -> Floats:
        if self._step is not None:
            units = np.where(alive, (np.floor(units * self.size) + 0.5) / self.size, units)
        elif self._whole:
            whole = np.round(np.exp((1 - units) * self._low + units * self._high))
            whole = np.clip(whole, self._given.low, self._given.high)
            units = np.where(alive, (np.log(whole) - self._low) / (self._high - self._low), units)
        return units[:, None]

    def unit_at(self, columns: Floats) -> float:
        return min(max(float(columns[0]), 0.0), math.nextafter(1, 0))


def _axis(distribution: BaseDistribution) -> _Choices | _Numbers:
    if isinstance(distribution, CategoricalDistribution):
        return _Choices(distribution)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return _Numbers(distribution)
    raise ValueError(f"a distribution must be a float, an int or categorical; got {distribution!r}; use one of these")
