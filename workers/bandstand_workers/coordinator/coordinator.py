"""The coordinator: the Ray actor that runs one study. It is the only writer of its study.

Knows what others call, and opens the study. What happens then, `study_run` knows. Must not know Keras, nor how trainers
come to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray

from bandstand.errors import BandstandError
from bandstand.log_lines import begin_logging
from bandstand.running.messages import Conditions, RunRefused, StudyOutcome
from bandstand.search.protocol import Measurement, Verdict
from bandstand.store.store import Store
from bandstand.strategies import make_strategy
from bandstand.study.study_spec import StudySpec
from bandstand.traces import begin_traces, flush_traces
from bandstand_workers.coordinator.coordinator_start import taken_url
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.signals import STOP_GRACE_SECONDS, Departure, Signals
from bandstand_workers.coordinator.study_run import StudyRun
from bandstand_workers.coordinator.trainers.assigner import Assigner
from bandstand_workers.coordinator.trainers.inputs_check import InputsCheck
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.messages import Inputs, MemoryWord

__all__ = ["Coordinator", "CoordinatorActor"]


class Coordinator:
    """One study's coordinator, as its actor."""

    def __init__(self, url_file: str, spec: Mapping[str, Any], checkpoints_uri: str, conditions: Conditions):
        """Nothing is opened before `run`.

        Args:
            url_file: where the database URL is read, so that the secret travels in no actor's arguments.
            spec: the study.
            checkpoints_uri: folder under which checkpoints and models go.
            conditions: on which it takes up the study.
        """
        self._url = taken_url(url_file)  # at once: it must not lie there while this coordinator waits for its study
        self.spec: StudySpec = StudySpec.model_validate(spec)
        begin_logging("%(asctime)s %(name)s %(message)s", about={"study": self.spec.name})
        self.signals = Signals()
        self._checkpoints_uri = checkpoints_uri
        self.conditions = conditions
        self._store: Store | None = None
        self._opening = asyncio.Lock()
        self._study_run: StudyRun | None = None  # before the study is opened

    @property
    def study_run(self) -> StudyRun:
        """The run that is under way; the study must have been opened."""
        assert self._study_run is not None, "run comes first"
        return self._study_run

    def make_run(self, study: OpenedStudy) -> StudyRun:
        """How a study is run that has just been opened."""
        inputs = self.make_inputs_check(study)
        return StudyRun(study, inputs, Assigner(study, inputs))

    def make_inputs_check(self, study: OpenedStudy) -> InputsCheck:
        """How its trainers' data and code are held against the study's."""
        return InputsCheck(study, self.conditions)

    # -- for the process that runs studies --------------------------------------------------------------------------

    async def warm_up(self) -> None:
        """Import and open what `run` needs, while trainers start; nothing of the study is written."""
        async with self._opening:
            with suppress(BandstandError):  # `run` says it
                await asyncio.to_thread(self._warm_up)

    def _warm_up(self) -> None:
        self._opened_store().prepare_claim(self.spec)
        make_strategy(self.spec)

    def _opened_store(self) -> Store:
        if self._store is None:
            self._store = Store(self._url)
        return self._store

    async def run(self, trainers: Mapping[str, TrainerHandle], trace: str | None = None) -> StudyOutcome | RunRefused:
        """Run the study to its end, or until it is stopped.

        Args:
            trainers: by name.
            trace: the span of the study's run, of which attempts are children.
        """
        begin_traces("bandstand-coordinator", trace)
        try:
            async with self._opening:
                store = await asyncio.to_thread(self._opened_store)
            study = await OpenedStudy.open(store, self.spec, self.signals, self._checkpoints_uri, self.conditions.code)
        except BandstandError as error:
            return RunRefused.because_of(error)
        self._study_run = self.make_run(study)
        try:
            return await self._study_run.run(trainers)
        finally:
            store.close()
            await asyncio.to_thread(flush_traces)

    async def join(self, name: str, trainer: TrainerHandle) -> None:
        """Give work to this trainer from now on; it must have been prepared for the study, and have its data."""
        await self.signals.taken_up.wait()
        await self.study_run.join(name, trainer)

    async def idle(self) -> int:
        """How many trainers have nothing to train."""
        return 0 if self._study_run is None else self._study_run.assigner.pool.idle

    async def departure(self) -> Departure:
        """Wait until a trainer is to be replaced."""
        return await self.signals.departures.get()

    async def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Pause what is under way, then end; the study can be taken up again.

        Args:
            grace_seconds: how long trials may take to come to the end of their epochs. Then their trainers are ended.
        """
        self.signals.grace_seconds = grace_seconds
        self.signals.stop_requested = True
        if self._study_run is not None:
            self._study_run.study.stop()

    # -- for trainers -----------------------------------------------------------------------------------------------

    async def report(self, trial: int, attempt: int, measurements: Sequence[Measurement]) -> Verdict | None:
        """As `StudyRun.report`."""
        return await self.study_run.report(trial, attempt, measurements)

    async def checkpointed(self, trial: int, attempt: int, epoch: int, uri: str, error: str | None) -> None:
        """As `StudyRun.checkpointed`."""
        await self.study_run.checkpointed(trial, attempt, epoch, uri, error)

    async def memory_is_short(self, trial: int, attempt: int, word: MemoryWord) -> None:
        """As `StudyRun.memory_is_short`."""
        self.study_run.memory_is_short(trial, attempt, word)

    async def take_inputs(self, inputs: Inputs) -> bool:
        """As `InputsCheck.take`."""
        return await self.study_run.inputs.take(inputs)


# Not detached: it ends with the process that runs studies, and only that process begins it again.
CoordinatorActor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, max_concurrency=10_000)(Coordinator)
