"""Made-up learning curves for any search space: power laws whose limits, rates and costs depend on the params.

Knows formulas and a seed. Must not know searches or time.

With d the position of the learning rate relative to a seeded edge of stability (in widths of its range, logarithmic
where the space says so) the loss after progress p is

    limit(params) + 1.5 * (1 + p) ** -rate(params) + 0.3 * exp(5 d) + noise,      p grows by exp(5 d) in each epoch.

So a large rate is quick and stays high, a small one is slow and gets lower, and curves cross; past the edge by more
than a tenth the loss is NaN. A checkpoint carries p: a child that goes on with a smaller rate keeps the progress and
drops the noise floor, as step decay does; so does an epoch within a cycle of `lr-restarts`, whose rate the strategy
sets. `limit`, `rate` and an epoch's cost are seeded bowls over the unit cube, with
a ripple that makes params interact. Power laws: Hestness et al., Deep Learning Scaling is Predictable, Empirically,
2017; Domhan et al., IJCAI 2015. Where the objective is maximized the value is exp(-loss), the geometric mean of the
probability given to the right class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import cos, exp, isnan, nan, tau
from typing import Any

import numpy as np

from bandstand.problem.objective import Objective
from bandstand.simulation.learning_curves.curves import Advance, Setting, State
from bandstand.simulation.learning_curves.unit_cube import fraction_of
from bandstand_spaces import Categorical, Float, Parameter, SearchSpace

__all__ = ["AnalyticCurve", "AnalyticCurves", "AnalyticSource", "make_source"]

_START = 1.5
_FLOOR = 0.3
_STEEPNESS = 5.0
_DIVERGES = 0.1
_NOISE = 0.01
_RIPPLE = 0.15


class _Bowl:
    """A seeded smooth function of params, from 0 at its best to about 1."""

    def __init__(self, parameters: Mapping[str, Parameter], rng: np.random.Generator):
        shares = rng.exponential(size=len(parameters)) if parameters else np.zeros(0)
        self._weights = dict(zip(parameters, (shares / max(shares.sum(), 1e-9)).tolist(), strict=True))
        self._centres = {name: float(rng.uniform(0.2, 0.8)) for name in parameters}
        self._choices: dict[str, dict[Any, float]] = {}
        for name, parameter in parameters.items():
            if isinstance(parameter, Categorical):
                penalties = rng.permutation(np.linspace(0.0, 1.0, parameter.size)).tolist()
                self._choices[name] = dict(zip(parameter.choices, penalties, strict=True))
        self._waves = {name: float(rng.uniform(0.5, 2.0)) for name in parameters}
        self._phase = float(rng.uniform(0.0, 1.0))

    def at(self, params: Mapping[str, Any], point: Mapping[str, float]) -> float:
        """The value; `point` has the active params' fractions. A parameter that is not active costs nothing."""
        total, angle = 0.0, self._phase
        for name, fraction in point.items():
            if name not in self._weights:
                continue
            if name in self._choices:
                total += self._weights[name] * self._choices[name][params[name]]
                continue
            centre = self._centres[name]
            distance = (fraction - centre) / max(centre, 1.0 - centre)
            total += self._weights[name] * distance * distance
            angle += self._waves[name] * fraction
        # The ripple vanishes at the bottom, so that the best of a bowl stays 0.
        return total * (1.0 + _RIPPLE * cos(tau * angle))


class AnalyticCurves:
    """One problem: a landscape drawn by `seed`."""

    def __init__(
        self, space: SearchSpace, objective: Objective, max_epochs: int, *, seed: int, epoch_seconds: float = 10.0
    ):
        """A landscape.

        Args:
            space: whose params are trained.
            objective: the metric that the curves report, beside `loss`.
            max_epochs: the longest training.
            seed: chooses the landscape; equal ones are equal.
            epoch_seconds: the mean duration of an epoch, over the space (geometric).
        """
        rng = np.random.default_rng([seed, 1])
        self._objective = objective
        self._max_epochs = max_epochs
        self._epoch_seconds = epoch_seconds
        self._parameters = {name: parameter for name, parameter, _ in space.flat()}
        self._rate_name = _learning_rate_in(self._parameters)
        others = {name: parameter for name, parameter in self._parameters.items() if name != self._rate_name}
        self._limit, self._rate, self._cost = _Bowl(others, rng), _Bowl(others, rng), _Bowl(others, rng)
        self._edge = float(rng.uniform(0.65, 0.85))

    def open(self, params: Mapping[str, Any], seed: int) -> AnalyticCurve:
        """The curve of these params. Noise is drawn by `seed`."""
        point = {name: fraction_of(self._parameters[name], value) for name, value in params.items()}
        name = self._rate_name
        past_edge = None if name is None else point.get(name, self._edge) - self._edge
        noise = np.random.default_rng([seed, 2]).standard_normal(self._max_epochs)
        return AnalyticCurve(
            objective=self._objective,
            limit=0.05 + 0.6 * self._limit.at(params, point),
            rate=1.2 - 0.7 * min(1.0, self._rate.at(params, point)),
            past_edge=past_edge,
            past_edge_at=None if name is None else partial(self._past_edge_at, self._parameters[name]),
            seconds=self._epoch_seconds * 2.0 ** (2.0 * self._cost.at(params, point) - 0.6),
            noise=(_NOISE * noise).tolist(),
        )

    def _past_edge_at(self, parameter: Parameter, rate: float) -> float:
        """D of a learning rate, which may lie outside of its range."""
        return fraction_of(parameter, rate) - self._edge


class AnalyticCurve:
    """The training of one trial's params; its state is the progress p, NaN once it has diverged."""

    __slots__ = (
        "_limit",
        "_maximizes",
        "_metric",
        "_noise",
        "_past_edge",
        "_past_edge_at",
        "_rate",
        "_seconds",
    )

    def __init__(
        self, *, objective: Objective, limit: float, rate: float, past_edge: float | None,
        past_edge_at: Callable[[float], float] | None, seconds: float, noise: list[float],
    ):  # fmt: skip
        """The parts of the formula above.

        Args:
            objective: what is reported.
            limit: the loss that unlimited training approaches, but for the floor.
            rate: the power law's exponent.
            past_edge: d; None where the space has no learning rate: progress is 1 an epoch then, and there is no floor.
            past_edge_at: d of another learning rate; None as before.
            seconds: duration of an epoch.
            noise: of each epoch, epoch 1 first.
        """
        self._metric = objective.metric
        self._maximizes = objective.direction == "maximize"
        self._limit, self._rate, self._seconds, self._noise = limit, rate, seconds, noise
        self._past_edge, self._past_edge_at = past_edge, past_edge_at

    def start(self) -> State:
        """No progress."""
        return 0.0

    def advance(self, state: State, epoch: int, learning_rate: float | None = None) -> Advance:
        """As `Curve.advance`."""
        past_edge = self._past_edge
        if learning_rate is not None and self._past_edge_at is not None:
            past_edge = self._past_edge_at(learning_rate)
        if isnan(state) or (past_edge is not None and past_edge > _DIVERGES):
            return Advance(nan, {"loss": nan, self._metric: nan}, self._seconds)
        gain = 1.0 if past_edge is None else exp(_STEEPNESS * past_edge)
        floor = 0.0 if past_edge is None else _FLOOR * gain
        progress = state + gain
        loss = self._limit + floor + _START * (1.0 + progress) ** -self._rate
        noisy = max(0.0, loss + self._noise[epoch - 1])
        return Advance(progress, {"loss": loss, self._metric: exp(-noisy) if self._maximizes else noisy}, self._seconds)


def _learning_rate_in(parameters: Mapping[str, Parameter]) -> str | None:
    """The parameter that acts as the learning rate: by its name, else the first logarithmic real number."""
    real = {name: parameter for name, parameter in parameters.items() if isinstance(parameter, Float)}
    named = [name for name in real if name in ("lr", "learning_rate") or name.endswith(("_lr", "learning_rate"))]
    logarithmic = [name for name, parameter in real.items() if parameter.log]
    return next(iter([*named, *logarithmic]), None)


class AnalyticSource:
    """Made-up curves for the study as it is; another seed is another landscape."""

    name = "analytic"
    setting: Setting | None = None

    def __init__(self, epoch_seconds: float = 10.0):
        self._epoch_seconds = epoch_seconds

    def curves(self, space: SearchSpace, objective: Objective, max_epochs: int, seed: int) -> AnalyticCurves:
        """As `CurveSource.curves`."""
        return AnalyticCurves(space, objective, max_epochs, seed=seed, epoch_seconds=self._epoch_seconds)


def make_source(name: str, epoch_seconds: float) -> AnalyticSource:
    """Made-up curves."""
    return AnalyticSource(epoch_seconds)
