"""Regions of a space in which trainings fail, laid over any curves: too large, diverging, too slow.

Knows params and a seed. Must not know searches, nor what a search learns of its failures.

Each region is a half-space of the unit cube, as such borders are: a model is too large where its size parameters are
high together, and it is too slow where others are. How much each parameter matters is drawn by the seed, and the border
lies where the share of the space fails that was asked for; random params are drawn to find it. A training diverges
above a learning rate, and the sooner the further above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from bandstand.errors import InputError
from bandstand.problem.broken_rules import did_you_mean
from bandstand.problem.objective import Objective
from bandstand.simulation.learning_curves.curves import Advance, Curve, Curves, CurveSource, Setting, State
from bandstand.simulation.learning_curves.unit_cube import fraction_of
from bandstand.trials.failure_kinds import DIVERGED, OUT_OF_MEMORY, TOO_SLOW
from bandstand_spaces import Categorical, SearchSpace

__all__ = ["FAILING", "FailingSource", "regions_from"]

FAILING = {"memory": OUT_OF_MEMORY, "nan": DIVERGED, "time": TOO_SLOW}
"""What may be asked for, and the reason with which such a trial ends."""
_DRAWN = 2_000
_OOM_SHARE = 0.5
"""Of an epoch, until a model that is too large has failed."""
_SLOW_EPOCHS = 20.0
"""Epochs' time until a training that is too slow is ended."""
_LATEST = 6
"""The epoch in which a training diverges that lies on the border."""


def regions_from(text: str) -> dict[str, float]:
    """The regions that a user wants: `memory:0.3,nan:0.2`, each with its share of the space.

    Raises:
        InputError: a kind or a share is none.
    """
    regions: dict[str, float] = {}
    for part in text.split(","):
        kind, _, share = part.strip().partition(":")
        if kind not in FAILING:
            raise InputError(
                f"--failing must name {', '.join(FAILING)}, each with a share, such as memory:0.3,nan:0.2; "
                f"got {part!r}{did_you_mean(kind, FAILING)}"
            )
        try:
            regions[kind] = float(share)
        except ValueError:
            regions[kind] = nan
        if not 0 < regions[kind] < 1:
            raise InputError(f"the share of --failing must be between 0 and 1, such as {kind}:0.3; got {part!r}")
    return regions


@dataclass(frozen=True, kw_only=True)
class _Region:
    """Where a weighted sum of fractions is beyond a border."""

    weights: Mapping[str, float]
    border: float

    def depth(self, fractions: Mapping[str, float]) -> float:
        """How far within the region a point lies; below 0 outside."""
        return _sum_of(self.weights, fractions) - self.border


class FailingSource:
    """Curves of another source, with regions of failing."""

    def __init__(self, source: CurveSource, regions: Mapping[str, float]):
        """`regions` as from `regions_from`."""
        self._source = source
        self._regions = dict(regions)
        self.name = source.name
        self.setting: Setting | None = source.setting

    def curves(self, space: SearchSpace, objective: Objective, max_epochs: int, seed: int) -> Curves:
        """As `CurveSource.curves`; the seed chooses the regions, too."""
        inner = self._source.curves(space, objective, max_epochs, seed)
        return _FailingCurves(inner, space, objective, self._regions, seed)


class _FailingCurves:
    def __init__(self, inner: Curves, space: SearchSpace, objective: Objective, shares: Mapping[str, float], seed: int):
        self._inner = inner
        self._metric = objective.metric
        self._parameters = {name: parameter for name, parameter, _ in space.flat()}
        rng = np.random.default_rng([seed, 3])
        drawn = [self._fractions(space.sample(rng)) for _ in range(_DRAWN)]
        numbers = [name for name, parameter in self._parameters.items() if not isinstance(parameter, Categorical)]
        rates = [name for name in numbers if "learning_rate" in name or name == "lr" or name.endswith("_lr")]
        sizes = [name for name in numbers if name not in rates] or numbers
        self._regions: dict[str, _Region] = {}
        for kind, share in shares.items():
            names = (rates or numbers)[:1] if kind == "nan" else sizes
            raw = rng.dirichlet(np.full(len(names), 0.7))  # one or two parameters matter most
            weights = dict(zip(names, raw.tolist(), strict=True))
            border = float(np.quantile([_sum_of(weights, each) for each in drawn], 1 - share))
            self._regions[kind] = _Region(weights=weights, border=border)

    def _fractions(self, params: Mapping[str, Any]) -> dict[str, float]:
        return {name: fraction_of(self._parameters[name], value) for name, value in params.items()}

    def open(self, params: Mapping[str, Any], seed: int) -> Curve:
        """As `Curves.open`."""
        inner, fractions = self._inner.open(params, seed), self._fractions(params)
        for kind, region in self._regions.items():
            depth = region.depth(fractions)
            if depth > 0:
                return _FailingCurve(inner, kind, depth, self._metric)
        return inner


class _FailingCurve:
    """A training that fails."""

    __slots__ = ("_at", "_inner", "_kind", "_metric")

    def __init__(self, inner: Curve, kind: str, depth: float, metric: str):
        self._inner, self._kind, self._metric = inner, kind, metric
        self._at = max(1, round(_LATEST * (1 - 4 * depth))) if kind == "nan" else 1

    def start(self) -> State:
        """As `Curve.start`."""
        return self._inner.start()

    def advance(self, state: State, epoch: int, learning_rate: float | None = None) -> Advance:
        """As `Curve.advance`."""
        found = self._inner.advance(state, epoch, learning_rate)
        if epoch < self._at:
            return found
        if self._kind == "nan":
            return Advance(nan, {"loss": nan, self._metric: nan}, found.seconds)
        factor = _OOM_SHARE if self._kind == "memory" else _SLOW_EPOCHS
        return Advance(found.state, {}, factor * found.seconds, FAILING[self._kind])


def _sum_of(weights: Mapping[str, float], fractions: Mapping[str, float]) -> float:
    return sum(weight * fractions.get(name, 0.0) for name, weight in weights.items())
