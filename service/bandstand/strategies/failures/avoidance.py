"""Params that are likely to fail are drawn again: a second look at what any sampler proposes.

Knows a sampler's proposal and which trials failed. Must not know the sampler.

After three failures of a kind (memory, NaN, time) a proposal that is likely to fail in one of these ways is changed:
one of its parameters is moved a little, then another, then two, ever further, until the model thinks better of it. So a
proposal beside a border stays beside it, on the other side, and what the sampler has learned of the other parameters
stays.

What is likely is measured by how many trials fail anyway: where three in ten fail at random, a chance of three in ten
says nothing of the params.

Four rules keep the model from starving a region that it is wrong about: one in twenty proposals is left as it is,
whatever the model says; how much the others bear differs from one to the next, so the more trials succeed where others
failed, the more are tried there; a trial that succeeds speaks for what lies near it; and where no change that is tried
is good enough, the one least likely to fail is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

import numpy as np

from bandstand.problem.problem import Problem
from bandstand.strategies.failures.failure_chance import FailureChance
from bandstand.strategies.failures.observed_failures import ObservedFailures
from bandstand.strategies.points.fractions import ALMOST_ONE, fraction_of
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.failure_kinds import FAILURE_KINDS
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Parameter, Value

__all__ = ["ENOUGH_FAILURES", "FailureAvoidance", "avoidance_for", "tolerance"]

ENOUGH_FAILURES = 3
"""Failures of a kind after which it is learned from."""
FLOOR = 0.05
"""The share of the proposals that are tried however likely they are to fail."""
LIKELY = 0.2
"""The least chance of failing that is likely."""
MOST_LIKELY = 0.4
"""The chance of failing that is likely in any case."""
SPREAD = 0.1
"""By how much more a proposal may be likely to fail, at most, and is tried all the same."""
_DRAWS = 48
"""Changes that are tried for each proposal."""


def avoidance_for(spec: Problem) -> FailureAvoidance | None:
    """What a study's proposals are looked at with; None where its user, or its age, does not want it."""
    return FailureAvoidance(spec) if spec.avoid_failures else None


def tolerance(seed: int, number: int) -> float:
    """How much of what is likely to fail proposal `number` bears, 0 to 1; above 1: whatever there is.

    Neither the params nor what has failed has a say. So whatever a sampler proposes with some probability is proposed
    with at least a twentieth of it.
    """
    rng = generator_for(seed, number, "avoid anyway")
    return inf if float(rng.random()) < FLOOR else float(rng.random())


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

    def bears(self, number: int) -> float:
        """The chance of failing from which on proposal `number` is changed."""
        return self._likely + SPREAD * tolerance(self._seed, number)

    @property
    def _likely(self) -> float:
        """The chance from which on params are likely to fail: more than the trials so far, within bounds."""
        survives = 1.0
        for model in self._models:
            survives *= 1 - model.base
        return min(MOST_LIKELY, max(LIKELY, 1 - survives))

    def better(self, params: Mapping[str, Any], number: int) -> Mapping[str, Any]:
        """The params of trial `number`, changed where they are likely to fail."""
        if not self.is_active:
            return params
        least = self.chance(params)
        if least < self.bears(number):
            return params
        likely = self._likely
        best: Mapping[str, Any] = params
        for changed in self._changes(params, generator_for(self._seed, number, "avoid")):
            if self._finite and _key(changed) in self._proposed:
                continue
            chance = self.chance(changed)
            if chance < least:
                best, least = changed, chance
            if chance < likely:
                break
        return best

    def _changes(self, params: Mapping[str, Any], rng: np.random.Generator) -> Iterator[dict[str, Value]]:
        """The params with one parameter moved a little, another in turn, then two, ever further."""
        names = [name for name in self._parameters if name in params]
        for draw in range(_DRAWS):
            several = min(len(names), 1 + draw * len(names) // _DRAWS)
            moved = {names[int(index)] for index in rng.permutation(len(names))[:several]}
            reach = (draw + 1) / _DRAWS

            def choose(name: str, parameter: Parameter, moved: set[str] = moved, reach: float = reach) -> Value:
                if name in params and name not in moved:
                    value: Value = params[name]
                    return value
                anew = float(rng.random())
                if name not in params or isinstance(parameter, Categorical):
                    return parameter.value_at(anew)
                near = fraction_of(parameter, params[name]) + reach * (2 * anew - 1)
                return parameter.value_at(min(ALMOST_ONE, max(0.0, near)))

            yield self._space.params_by(choose)


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(dict(params), sort_keys=True)
