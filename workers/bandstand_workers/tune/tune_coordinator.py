"""The coordinator of a study whose processes are Ray Tune's.

Knows that its trainers are stand-ins and that calls need an end. Must not know Tune itself, nor Keras.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray

from bandstand.errors import BandstandError, InputError, ServiceError
from bandstand.running.messages import Conditions, RunRefused, StudyOutcome
from bandstand_workers.coordinator.coordinator import Coordinator
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.study_run import StudyRun
from bandstand_workers.coordinator.trainers.assigner import Assigner
from bandstand_workers.coordinator.trainers.inputs_check import InputsCheck
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.tune.trainer_calls import Suggestion, TrainerCall, TrainerCalls, TuneTrainer, TuneTrainers

__all__ = ["TuneCoordinator", "TuneCoordinatorActor"]


class TuneCoordinator(Coordinator):
    """Runs a study by trainers that have one call at a time, which Tune finds a process for."""

    def __init__(self, url_file: str, spec: Mapping[str, Any], checkpoints_uri: str, conditions: Conditions):
        """As `Coordinator`."""
        super().__init__(url_file, spec, checkpoints_uri, conditions)
        self._calls = TrainerCalls()
        self._trainers = TuneTrainers(self._calls)
        self._checked = asyncio.Event()

    def make_run(self, study: OpenedStudy) -> StudyRun:
        """As `Coordinator.make_run`."""
        inputs = self.make_inputs_check(study)
        return StudyRun(study, inputs, _TuneAssigner(study, inputs, self._trainers, self._calls))

    def make_inputs_check(self, study: OpenedStudy) -> InputsCheck:
        """As `Coordinator.make_inputs_check`."""
        return _InputsOfProcesses(study, self.conditions)

    # -- for the process that runs studies --------------------------------------------------------------------------

    async def run_checked(self, trainers: int, trace: str | None = None) -> StudyOutcome | RunRefused:
        """Have the study checked, then run it to its end by so many trainers, or until it is stopped."""
        try:
            refusal = await TuneTrainer(self._calls).prepare.remote(self.spec.model_dump(mode="json"), True)
            if refusal:
                return RunRefused.because_of(InputError(refusal))
            self._checked.set()
            return await self.run(dict(self._trainers.add() for _ in range(trainers)), trace)
        except BandstandError as error:
            return RunRefused.because_of(error)
        except ray.exceptions.RayError as error:
            return RunRefused.because_of(ServiceError(f"it could not be checked: {error}"))
        finally:
            self._calls.close()

    async def checked(self) -> None:
        """Wait until the study is known to be sound."""
        await self._checked.wait()

    async def has_process(self) -> bool:
        """Whether Tune has found a process that began with the study's check."""
        return self._calls.has_begun

    # -- for Tune's searcher and its processes ----------------------------------------------------------------------

    async def suggest(self, wait_seconds: float) -> Suggestion:
        """As `TrainerCalls.suggest`."""
        return await self._calls.suggest(wait_seconds)

    async def take(self, call: int, process: Any) -> TrainerCall | None:
        """As `TrainerCalls.take`. Only now does a trial train that waited for a process."""
        taken = self._calls.take(call, process)
        if taken is not None and "trial" in taken.config:
            self.study_run.assigner.silence.begins(taken.config["trial"])
        return taken

    async def answer(self, call: int, value: Any) -> None:
        """As `TrainerCalls.answer`."""
        self._calls.answer(call, value)

    async def complete(self, call: int) -> None:
        """As `TrainerCalls.complete`."""
        self._calls.complete(call)


class _InputsOfProcesses(InputsCheck):
    """The trainers are no processes: each of Tune's asks `take` before its first training."""

    async def passes(self, name: str, trainer: TrainerHandle) -> bool:
        """As `InputsCheck.passes`."""
        return True


class _TuneAssigner(Assigner):
    """Gives assignments to stand-ins, for which Tune chooses the process, whatever that remembers."""

    def __init__(self, study: OpenedStudy, inputs: InputsCheck, trainers: TuneTrainers, calls: TrainerCalls):
        super().__init__(study, inputs)
        self._trainers = trainers
        self._calls = calls

    def preferred(self, name: str) -> set[int]:
        """None: see above."""
        return set()

    async def see_baseline(self, name: str, trainer: TrainerHandle) -> None:
        """A process that has grown leaves by itself."""

    def watch_memory(self, name: str, memory_bytes: int) -> None:
        """A process that has grown leaves by itself."""

    def kill(self, name: str, trainer: TrainerHandle) -> None:
        """End the process that Tune found for the trainer's call. If it has found none yet, nothing trains there."""
        assert isinstance(trainer, TuneTrainer)
        process = self._calls.taker(trainer.latest_call)
        if process is not None:
            ray.kill(process)
            return
        for overdue in self.ended.pop(name):
            self.silence.begins(overdue.trial)

    def depart(self, name: str, reason: str) -> None:
        """The process of a trainer has died: there is another trainer for the next one."""
        super().depart(name, reason)
        self.join(*self._trainers.add())


TuneCoordinatorActor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, max_concurrency=10_000)(
    TuneCoordinator
)
