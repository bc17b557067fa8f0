"""Trainers that train nothing, for the real coordinator: each is a Ray actor that waits, reports and is answered.

Without Keras such a process is small and starts at once, so that a machine has room for many. They are strict: each
report waits for its answer, whose latency they remember.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from typing import Any

from bandstand.running.messages import Conditions
from bandstand.search.protocol import Assignment
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_workers.messages import Outcome
from tests.benchmarks.scale.made_studies import measurement_of
from tests.benchmarks.scheduling.coordinator import Reporter

__all__ = ["LightTrainer", "make_coordinator"]


class LightTrainer(Reporter):
    """A trainer whose epochs take `epoch_seconds`. Many names may share its process."""

    def __init__(self, epoch_seconds: float):
        self._epoch_seconds = epoch_seconds
        self._latencies: list[float] = []

    async def train(
        self, coordinator: Any, assignment: Assignment, folder: str, resume_uri: str | None, seconds_left: float | None
    ) -> Outcome:
        """As `Trainer.train`, without training."""
        epoch = assignment.from_epoch
        while True:
            await asyncio.sleep(self._epoch_seconds)
            epoch += 1
            asked = time.perf_counter()
            verdict = await coordinator.report.remote(
                assignment.trial, assignment.attempt, [measurement_of(assignment, epoch)]
            )
            self._latencies.append(time.perf_counter() - asked)
            if verdict is None or verdict.action is not Action.CONTINUE:
                return Outcome(action=Action.STOP if verdict is None else verdict.action)

    def latencies(self) -> list[float]:
        """Seconds that each report has waited for its answer, since the last call."""
        found, self._latencies = self._latencies, []
        return found

    def process(self) -> int:
        """The id of its process."""
        return os.getpid()


def make_coordinator(spec: StudySpec, url: str) -> Any:
    """The actor that runs a study, as `bandstand run` starts it."""
    from bandstand_workers.coordinator.coordinator import CoordinatorActor

    file, path = tempfile.mkstemp()
    with os.fdopen(file, "w") as handle:
        handle.write(url)
    return CoordinatorActor.remote(path, spec.model_dump(mode="json"), tempfile.mkdtemp(), Conditions())
