"""The machines of a simulation.

Knows how quick, how late and how mortal workers are. Must not know what they train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from bandstand.errors import InputError

__all__ = ["VirtualCluster", "WorkerLuck"]


@dataclass(frozen=True, kw_only=True)
class VirtualCluster:
    """Virtual workers. `speeds` and `start_seconds` are given out in turn where there are fewer of them than workers.

    Raises:
        InputError: a number is out of its range.
    """

    workers: int = 8
    speeds: Sequence[float] = (1.0,)
    """An epoch takes its curve's seconds divided by this."""
    start_seconds: Sequence[float] = (0.0,)
    """From the beginning, or from a death, until the worker asks for work."""
    straggling: float = 0.0
    """σ of the stragglers: each epoch takes 1 + |z| times as long, z drawn from N(0, σ).

    As Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, simulate them.
    """
    deaths_per_hour: float = 0.0
    """How often each worker dies, per hour of virtual time that it is up; a new one starts in its place."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers must be at least 1; got {self.workers}")
        for what, numbers in (("speeds", self.speeds), ("start_seconds", self.start_seconds)):
            low = "above 0" if what == "speeds" else "0 or more"
            if not numbers or not all(0 <= number < inf and (number or what != "speeds") for number in numbers):
                shown = ",".join(f"{number:g}" for number in numbers) or "none"
                raise InputError(f"{what} must be numbers {low}, such as 1,1,0.5; got {shown}")
        for what, number in (("straggling", self.straggling), ("deaths_per_hour", self.deaths_per_hour)):
            if not 0 <= number < inf:
                raise InputError(f"{what} must be 0 or more; got {number:g}")

    def luck_of(self, worker: int) -> WorkerLuck:
        """What happens to a worker, drawn from the seed and its number alone."""
        return WorkerLuck(self, worker)


class WorkerLuck:
    """The speed, the stragglers and the deaths of one worker, one draw after the other."""

    __slots__ = ("_deaths_per_second", "_rng", "_straggling", "speed", "start_seconds")

    def __init__(self, cluster: VirtualCluster, worker: int):
        self.speed = cluster.speeds[worker % len(cluster.speeds)]
        self.start_seconds = cluster.start_seconds[worker % len(cluster.start_seconds)]
        self._straggling = cluster.straggling
        self._deaths_per_second = cluster.deaths_per_hour / 3600.0
        self._rng = np.random.default_rng([cluster.seed, worker, 3])

    def epoch_seconds(self, seconds: float) -> float:
        """How long the worker takes for an epoch that takes `seconds` at speed 1."""
        if self._straggling:
            seconds *= 1.0 + abs(float(self._rng.normal(0.0, self._straggling)))
        return seconds / self.speed

    def lifetime_seconds(self) -> float:
        """Time from being up to the next death."""
        return float(self._rng.exponential(1.0 / self._deaths_per_second)) if self._deaths_per_second else inf
