"""Which trials failed in which way, and which show that one may succeed, as a study's events tell.

Knows trials and their ends. Must not know what is concluded from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from bandstand.strategies.failures.cube_points import CubePoints
from bandstand.trials.events import Ended, Event, Measured, Proposed, TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS
from bandstand.trials.history import Trial
from bandstand_spaces import SearchSpace

__all__ = ["Evidence", "ObservedFailures"]

_MOST = 250
"""Trials of each sort that are looked at, the latest: a proposal's cost does not grow with the study."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one kind of failure: a row for each trial."""

    points: np.ndarray[Any, Any]
    failed: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any]


class ObservedFailures:
    """The trials of one study that say something of failing."""

    def __init__(self, space: SearchSpace):
        self.version = 0
        """Grows whenever something is learned."""
        self._cube = CubePoints(space)
        self._failed: dict[str, list[Trial]] = {kind: [] for kind in FAILURE_KINDS}
        self._trained: dict[int, Trial] = {}  # with a finite value
        self._points: dict[int, np.ndarray[Any, Any]] = {}

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        if trial is None:
            return
        if isinstance(event, Proposed):
            return
        if isinstance(event, Measured):
            self.version += 1
            if isfinite(trial.values[-1]):
                self._trained[trial.number] = trial
        elif isinstance(event, Ended) and event.state is TrialState.FAILED and event.reason in self._failed:
            self.version += 1
            self._failed[event.reason].append(trial)

    def count(self, kind: str) -> int:
        """How many trials failed in this way."""
        return len(self._failed[kind])

    def point(self, trial: Trial) -> np.ndarray[Any, Any]:
        """Of a trial's params."""
        if trial.number not in self._points:
            self._points[trial.number] = self._cube.point(trial.params)
        return self._points[trial.number]

    @property
    def cube(self) -> CubePoints:
        """Gives points of params that are no trial's."""
        return self._cube

    def evidence(self, kind: str) -> Evidence:
        """What is known of a kind of failure.

        A trial that has trained for fewer epochs than the failed ones says less: it may fail yet.
        """
        failed = self._failed[kind][-_MOST:]
        numbers = {trial.number for trial in self._failed[kind]}
        sound = [trial for number, trial in self._trained.items() if number not in numbers][-_MOST:]
        usual = float(np.median([max(1, len(trial.values)) for trial in failed]))
        weights = [1.0] * len(failed) + [min(1.0, len(trial.values) / usual) for trial in sound]
        return Evidence(
            points=np.array([self.point(trial) for trial in [*failed, *sound]]),
            failed=np.array([1] * len(failed) + [0] * len(sound)),
            weights=np.array(weights),
        )
