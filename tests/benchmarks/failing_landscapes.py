"""Ways for a part of a space to fail that are hard to learn from, laid over any curves, with the truth about each.

Knows params, curves and a seed. Must not know searches. `bandstand.simulation.learning_curves.failing` has the regions
that users may ask for; these are meant to mislead whoever learns from failures.

`edge`: the border touches the best point that is known, so that a model that is a little too careful loses it.
`random`: three trials in ten fail, whatever their params. `one`: a single parameter decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bandstand.problem.objective import Objective
from bandstand.simulation.learning_curves.curves import Advance, Curve, CurveSource, State
from bandstand.simulation.learning_curves.unit_cube import fraction_of
from bandstand.trials.failure_kinds import DIVERGED, OUT_OF_MEMORY
from bandstand_spaces import Categorical, SearchSpace

__all__ = ["LANDSCAPES", "FailingLandscape"]

LANDSCAPES = ("edge", "random", "one")
_SHARE = 0.3
"""Of the space that fails, or nearly."""
_DRAWN = 400
_DIRECTIONS = 40
_GAP = 0.01
"""From the best point to the border, in the weighted sum of fractions."""
_BEST = 0.05
"""The share of the sound params that are the best region."""

Rule = Callable[[Mapping[str, Any], int], bool]


class FailingLandscape:
    """Curves of a source that fail in a misleading way."""

    def __init__(self, source: CurveSource, space: SearchSpace, objective: Objective, max_epochs: int, *, seed: int):
        """The curves of `source` that `seed` chooses, and nothing laid over them yet: see `lay`."""
        self._inner = source.curves(space, objective, max_epochs, seed)
        self._objective, self._max_epochs = objective, max_epochs
        self._parameters = {name: parameter for name, parameter, _ in space.flat()}
        self._rng = np.random.default_rng([seed, 7])
        self._drawn = [space.sample(self._rng) for _ in range(_DRAWN)]
        self._fails: Rule | None = None
        self._depends_on_params = True
        self._known: dict[str, tuple[float, str | None]] = {}
        self._losses = [self._trained(params)[0] for params in self._drawn]
        self._best = self._best_loss()

    def lay(self, landscape: str) -> None:
        """Let trials fail in one of the ways of `LANDSCAPES`, too."""
        rules = {"edge": self._edge, "random": self._at_random, "one": self._one_parameter}
        self._fails = rules[landscape]()
        self._depends_on_params = landscape != "random"
        self._best = self._best_loss()

    def kind_of(self, params: Mapping[str, Any]) -> str | None:
        """In which way a trial with these params fails; None where it does not, or where that is chance."""
        if self._depends_on_params and self._fails is not None and self._fails(params, 0):
            return OUT_OF_MEMORY
        return self._trained(params)[1]

    def is_among_best(self, params: Mapping[str, Any]) -> bool:
        """Whether sound params are among the best twentieth of the space."""
        return self.kind_of(params) is None and self._trained(params)[0] <= self._best

    def _best_loss(self) -> float:
        pairs = zip(self._drawn, self._losses, strict=True)
        return float(np.quantile([loss for params, loss in pairs if self.kind_of(params) is None], _BEST))

    def _trained(self, params: Mapping[str, Any]) -> tuple[float, str | None]:
        """The best loss of a whole training and how it fails; noise is the same for all params."""
        key = json.dumps(dict(params), sort_keys=True)
        if key not in self._known:
            self._known[key] = self._train(params)
        return self._known[key]

    def _train(self, params: Mapping[str, Any]) -> tuple[float, str | None]:
        curve, best = self._inner.open(params, 0), np.inf
        state = curve.start()
        for epoch in range(1, self._max_epochs + 1):
            state, metrics, _, failure = curve.advance(state, epoch)
            value = metrics.get(self._objective.metric, np.nan)
            if failure is not None or not np.isfinite(value):
                return best, failure or DIVERGED
            best = min(best, self._objective.sign * value)
        return best, None

    def open(self, params: Mapping[str, Any], seed: int) -> Curve:
        """As `Curves.open`."""
        inner = self._inner.open(params, seed)
        return _Failing(inner) if self._fails is not None and self._fails(params, seed) else inner

    def _edge(self) -> Rule:
        """Of some directions in which the best point touches the border, the one that leaves the right share."""
        best = self._drawn[int(np.argmin(self._losses))]
        numbers = [name for name, each in self._parameters.items() if not isinstance(each, Categorical)]
        numbers = [name for name in numbers if name in best]
        found = []
        for _ in range(_DIRECTIONS):
            signs = self._rng.choice([-1.0, 1.0], size=len(numbers))
            weights = dict(
                zip(numbers, (signs * self._rng.dirichlet(np.full(len(numbers), 0.7))).tolist(), strict=True)
            )
            border = self._sum_of(weights, best) + _GAP
            share = float(np.mean([self._sum_of(weights, each) > border for each in self._drawn]))
            found.append((abs(share - _SHARE), weights, border))
        _, weights, border = min(found, key=lambda each: each[0])
        return lambda params, seed: self._sum_of(weights, params) > border

    def _one_parameter(self) -> Rule:
        numbers = [name for name, each in self._parameters.items() if not isinstance(each, Categorical)]
        weights = {str(self._rng.choice(numbers)): 1.0}
        border = float(np.quantile([self._sum_of(weights, each) for each in self._drawn], 1 - _SHARE))
        return lambda params, seed: self._sum_of(weights, params) > border

    @staticmethod
    def _at_random() -> Rule:
        return lambda params, seed: bool(np.random.default_rng([seed, 8]).random() < _SHARE)

    def _sum_of(self, weights: Mapping[str, float], params: Mapping[str, Any]) -> float:
        return sum(
            weight * fraction_of(self._parameters[name], params[name])
            for name, weight in weights.items()
            if name in params
        )


class _Failing:
    """A training that runs out of memory in its first epoch."""

    def __init__(self, inner: Curve):
        self._inner = inner

    def start(self) -> State:
        """As `Curve.start`."""
        return self._inner.start()

    def advance(self, state: State, epoch: int, learning_rate: float | None = None) -> Advance:
        """As `Curve.advance`."""
        found = self._inner.advance(state, epoch, learning_rate)
        return Advance(found.state, {}, 0.5 * found.seconds, OUT_OF_MEMORY)
