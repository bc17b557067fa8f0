"""Tune's own population-based schedulers over a study's space: what they may change, and how a config reads.

Knows `PopulationBasedTraining` and `PB2`. Must not know trials of ours, nor where anything is stored.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2

from bandstand.strategies import STRATEGIES
from bandstand.strategies.policies.tune_populations import TunePB2, TunePBT, TunePBTOptions
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Categorical, Float, Parameter, SearchSpace

__all__ = ["MEMBER", "OBJECTIVE", "PopulationConfig"]

MEMBER = "member"
"""Where a member's first trial and its params are in Tune's config."""
OBJECTIVE = "objective"
"""Where the value is in a result."""


class PopulationConfig:
    """How one study's population looks to Tune."""

    def __init__(self, spec: StudySpec):
        policy = STRATEGIES[spec.sampler]
        assert issubclass(policy, TunePB2)
        self._spec = spec
        self._changing = policy.changing(spec)
        self._is_pb2 = not issubclass(policy, TunePBT)
        self._policy = policy.make(spec)

    def member(self, trial: int, params: Mapping[str, Any]) -> dict[str, Any]:
        """The config of the member whose present trial this is."""
        return {"trial": trial, "params": {name: self._encoded(name, value) for name, value in params.items()}}

    def params(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The params that a config means; where Tune left the space, the nearest that are in it."""
        return {name: self._decoded(name, value) for name, value in config[MEMBER]["params"].items()}

    def make_scheduler(self) -> Any:
        """A fresh scheduler of Tune's; what it draws, it draws from Python's and NumPy's generators, seeded here."""
        random.seed(self._spec.seed)
        np.random.seed(self._spec.seed % 2**32)
        options = self._policy.tune_options
        settings = {
            "time_attr": "epoch",
            "metric": OBJECTIVE,
            "mode": "min" if self._spec.objective.direction == "minimize" else "max",
            "perturbation_interval": self._policy.interval,
            "quantile_fraction": options.fraction,
            "synch": options.synchronous,
            "log_config": False,  # PostgreSQL has the lineages
        }
        if not isinstance(options, TunePBTOptions):
            bounds = {name: self._bounds(name) for name in self._changing}
            return PB2(hyperparam_bounds={MEMBER: {"params": bounds}}, **settings)
        return PopulationBasedTraining(
            hyperparam_mutations={MEMBER: {"params": {name: self._domain(name) for name in self._changing}}},
            resample_probability=options.resample,
            perturbation_factors=options.factors,
            **settings,
        )

    def _domain(self, name: str) -> Any:
        parameter = self._spec.space.parameters[name]
        if isinstance(parameter, Categorical):  # Tune moves along a list, and would multiply what tune.choice has
            return list(parameter.choices)
        return SearchSpace({name: parameter}).to_tune()[name]

    def _bounds(self, name: str) -> list[float]:
        parameter = self._spec.space.parameters[name]
        return [self._encoded(name, bound) for bound in (parameter.low, parameter.high)]  # type: ignore[union-attr]

    def _is_logarithmic(self, name: str) -> bool:
        """PB2's process knows no logarithmic axes, so that it is given logarithms."""
        if not self._is_pb2 or name not in self._changing:
            return False
        return bool(getattr(self._spec.space.parameters[name], "log", False))

    def _encoded(self, name: str, value: Any) -> Any:
        if self._is_logarithmic(name):
            return math.log10(value)
        return float(value) if self._is_pb2 and name in self._changing else value

    def _decoded(self, name: str, value: Any) -> Any:
        if name not in self._changing:
            return value
        return _nearest(self._spec.space.parameters[name], 10**value if self._is_logarithmic(name) else value)


def _nearest(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Categorical):
        return value
    inside = min(max(value, parameter.low), parameter.high)
    if isinstance(parameter, Float) and parameter.step is None:
        return float(inside)
    grid = parameter.grid()
    assert grid is not None
    return min(grid, key=lambda point: abs(point - inside))
