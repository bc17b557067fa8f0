"""Params that are likely to fail are drawn again: a second look at what any sampler proposes.

Knows a sampler's proposal and which trials failed. Must not know the sampler.

After three failures of a kind (memory, NaN, time) a proposal whose chance to fail in one of these ways is one in five
or more is changed: one of its parameters is drawn again at random, then another, then two at a time, until the model
thinks better of it. What the sampler has learned of the other parameters stays.

Three rules keep the model from starving a region that it is wrong about: one in twenty such proposals is left as it is,
whatever the model says; a trial that succeeds speaks for what lies near it; and where no change that is tried is good
enough, the one least likely to fail is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bandstand.problem.problem import Problem
from bandstand.strategies.failures.failure_chance import FailureChance
from bandstand.strategies.failures.observed_failures import ObservedFailures
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.failure_kinds import FAILURE_KINDS
from bandstand.trials.history import Trial
from bandstand_spaces import Parameter, Value

__all__ = ["ENOUGH_FAILURES", "FailureAvoidance", "avoidance_for"]

ENOUGH_FAILURES = 3
"""Failures of a kind after which it is learned from."""
FLOOR = 0.05
"""The share of the proposals that are likely to fail and are tried all the same."""
LIKELY = 0.2
"""The chance of failing from which on a proposal is drawn again. Low, as a model that fails teaches little more."""
_DRAWS = 48
"""Changes that are tried for each proposal."""


def avoidance_for(spec: Problem) -> FailureAvoidance | None:
    """What a study's proposals are looked at with; None where its user, or its age, does not want it."""
    return FailureAvoidance(spec) if spec.avoid_failures else None


class FailureAvoidance:
    """Looks at the proposals of one study."""

    def __init__(self, spec: Problem):
        """No trial yet."""
        self._seed = spec.seed
        self._space = spec.space
        self._parameters = {name: parameter for name, parameter, _ in spec.space.flat()}
        self._observed = ObservedFailures(spec.space)
        self._finite = spec.space.size is not None
        self._proposed: set[str] = set()
        self._models: list[FailureChance] = []
        self._fitted_at = -1

    @property
    def is_active(self) -> bool:
        """Whether enough trials have failed in one way."""
        return any(self._observed.count(kind) >= ENOUGH_FAILURES for kind in FAILURE_KINDS)

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        self._observed.observe(event, trial)
        if self._finite and isinstance(event, Proposed):
            self._proposed.add(_key(event.params))

    def chance(self, params: Mapping[str, Any]) -> float:
        """The chance that a trial with these params fails in one of the ways that are learned from."""
        if self._fitted_at != self._observed.version:
            self._fitted_at = self._observed.version
            kinds = [kind for kind in FAILURE_KINDS if self._observed.count(kind) >= ENOUGH_FAILURES]
            found = [self._observed.evidence(kind) for kind in kinds]
            self._models = [FailureChance(each.points, each.failed, each.weights) for each in found]
        point = self._observed.cube.point(params)
        survives = 1.0
        for model in self._models:
            survives *= 1 - model.of(point)
        return 1 - survives

    def better(self, params: Mapping[str, Any], number: int) -> Mapping[str, Any]:
        """The params of trial `number`, changed where they are likely to fail."""
        if not self.is_active:
            return params
        least = self.chance(params)
        if least < LIKELY:
            return params
        rng = generator_for(self._seed, number, "avoid")
        if float(rng.random()) < FLOOR:
            return params
        best: Mapping[str, Any] = params
        for changed in self._changes(params, rng):
            if self._finite and _key(changed) in self._proposed:
                continue
            chance = self.chance(changed)
            if chance < least:
                best, least = changed, chance
            if chance < LIKELY:
                break
        return best

    def _changes(self, params: Mapping[str, Any], rng: np.random.Generator) -> Iterator[dict[str, Value]]:
        """The params with one parameter drawn again, each in turn, then with two, and so on."""
        names = [name for name in self._parameters if name in params]
        for draw in range(_DRAWS):
            several = min(len(names), 1 + draw * len(names) // _DRAWS)
            renewed = {names[int(index)] for index in rng.permutation(len(names))[:several]}

            def choose(name: str, parameter: Parameter, renewed: set[str] = renewed) -> Value:
                if name in params and name not in renewed:
                    value: Value = params[name]
                    return value
                return parameter.value_at(float(rng.random()))

            yield self._space.params_by(choose)


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(dict(params), sort_keys=True)
