"""The coordinator of a population that Ray Tune's scheduler compares: records what Tune decided, lets members train.

What Tune decided is read off what its trials do next. One that trains on from its own checkpoint was left alone; one
that was given another's checkpoint and other params was cloned: its trial of ours ends, and a child takes its place.
Must not know Tune itself, nor Keras.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray

from bandstand.errors import BandstandError
from bandstand.running.messages import Conditions
from bandstand.search.protocol import Assignment
from bandstand.strategies.policies.population import changes
from bandstand.strategies.strategy import Promotion, Proposal, Retirement
from bandstand.trials.events import TrialState
from bandstand.trials.history import Trial
from bandstand_workers.coordinator.coordinator import Coordinator
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.study_run import StudyRun
from bandstand_workers.coordinator.trainers.assigner import Assigner
from bandstand_workers.coordinator.trainers.inputs_check import InputsCheck
from bandstand_workers.coordinator.trainers.silence import Overdue
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.messages import Outcome

__all__ = [
    "MemberCheckpoint",
    "MemberInterval",
    "MemberStart",
    "MemberTask",
    "PopulationCoordinator",
    "PopulationCoordinatorActor",
    "PopulationRun",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberStart:
    """A member that is to be trained, as it stands when a Tuner is built."""

    trial: int
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberCheckpoint:
    """What Tune keeps of a member: where a checkpoint of ours is."""

    trial: int
    epoch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberTask:
    """What a member trains now."""

    assignment: Assignment
    folder: str
    resume_uri: str | None
    seconds_left: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberInterval:
    """What a member has reached."""

    trial: int
    epoch: int
    value: float  # of that epoch; NaN where there is none
    over: bool  # it is not to be trained on, whatever Tune thinks


class PopulationRun(StudyRun):
    """A run whose members are Tune's trials. A *member* here is the id of a Tune trial."""

    def __init__(self, study: OpenedStudy, inputs: InputsCheck, workers: int):
        """As `StudyRun`; so many members train at the same time at most."""
        super().__init__(study, inputs, Assigner(study, inputs), always_trains=True)
        self._workers = workers
        self._places = asyncio.Semaphore(workers)
        self._pool = self.assigner.pool
        self._is_over = False
        self._trial_of: dict[str, int] = {}  # member -> its present trial
        self._cloned: dict[str, tuple[int, int, dict[str, Any]]] = {}  # member -> its last clone: of whom, when, params
        self._placed: set[str] = set()  # members that train
        self._processes: dict[str, Any] = {}  # member -> its process
        self._silent: dict[int, Overdue] = {}  # trials whose processes were ended for their silence

    # -- a Tuner's life -----------------------------------------------------------------------------------------------

    async def begin_tuner(self) -> list[MemberStart]:
        """The members to build a Tuner of, the population's next ones made where there is budget; none: it is over."""
        self._forget_members()
        while isinstance(step := self._search.allocation.wanted(), Proposal):
            self._search.allocation.direct(step)
        history, signals = self._search.history, self.study.signals
        started = dict(history.waiting)
        if history.ledger.epochs_left > 0:
            started |= history.paused
        if history.ended is not None or history.ledger.time_is_up or signals.stop_requested or signals.failure:
            return []
        await self.study.journal.durable()
        return [MemberStart(trial=number, params=history.trials[number].params) for number in sorted(started)]

    def _forget_members(self) -> None:
        """Of the Tuner before; what of theirs still runs ran in processes that are gone."""
        for number in list(self._search.history.running):
            trial = self._search.history.trials[number]
            silent = self._silent.get(number)
            reason = "Ray Tune gave its process up" if silent is None else silent.reason
            self._search.lost(number, trial.attempt, reason, blamed=silent is None or silent.blamed)
        self._places = asyncio.Semaphore(self._workers)
        for member in self._trial_of:
            self._pool.ends(member)
        for group in (self._trial_of, self._cloned, self._placed, self._processes, self._silent):
            group.clear()

    async def close(self, trainers: Mapping[str, TrainerHandle]) -> None:
        """Let the study end; these make and test its model."""
        for name, trainer in trainers.items():
            if await self.inputs.admits(name, trainer):
                self._pool.join(name, trainer)
        self._is_over = True
        self.study.signals.wake()

    async def until_done(self) -> None:
        """As `StudyRun.until_done`: until `close`."""
        while not self._is_over:
            self.raise_failure()
            self._end_silent()
            await self.study.signals.change()
        if not self._search.history.waiting:
            self._search.next()  # so that it knows that nothing is left to do

    def _end_silent(self) -> None:
        """End the processes of members that have trained without a word for too long; Tune begins again with them."""
        for found in self.assigner.find_silent():
            member = next((member for member, trial in self._trial_of.items() if trial == found.trial), None)
            process = None if member is None else self._processes.pop(member, None)
            if process is not None:
                self._silent[found.trial] = found
                self.assigner.silence.ends(found.trial)
                ray.kill(process)
                self._leave_place(str(member))  # Tune may begin another member first, in the CPUs that are free now

    # -- one member ---------------------------------------------------------------------------------------------------

    async def order(
        self,
        member: str,
        first_trial: int,
        checkpoint: MemberCheckpoint | None,
        params: Mapping[str, Any],
        process: Any = None,
    ) -> MemberTask | None:
        """What a member trains for its next result, once there is a place; None: nothing any more.

        Args:
            member: who asks.
            first_trial: the one that it began this Tuner with.
            checkpoint: what Tune had it restore, or of its own last result.
            params: what Tune wants it to train with.
            process: that asks, by its actor handle.
        """
        if member not in self._placed:  # it is, where its process died and Tune begins again with it
            await self._places.acquire()
            self._placed.add(member)
        try:
            order = await self._order(member, first_trial, checkpoint, params)
        except BandstandError as error:
            self.study.signals.fail(error)
            order = None
        if order is None:
            self._leave_place(member)
        else:
            self._processes[member] = process
            self.assigner.silence.begins(order.assignment.trial)
        return order

    async def settle(self, member: str, trial: int, attempt: int, outcome: Outcome | None) -> MemberInterval:
        """An order has been trained; its pause is durable when this returns."""
        self.assigner.silence.ends(trial)
        self._leave_place(member)
        await self.study.outcomes.take(member, trial, attempt, outcome)
        while self.study.pauses.under_way(member):
            await self.study.signals.change()
        known = self._search.history.trials[trial]
        return MemberInterval(
            trial=trial,
            epoch=known.epochs,
            value=known.values[-1] if known.values else float("nan"),
            over=known.state is not TrialState.PAUSED,
        )

    def _leave_place(self, member: str) -> None:
        self._pool.ends(member)
        if member in self._placed:
            self._placed.discard(member)
            self._places.release()

    async def _order(
        self, member: str, first_trial: int, checkpoint: MemberCheckpoint | None, params: Mapping[str, Any]
    ) -> MemberTask | None:
        trial = self._trial_to_train(member, first_trial, checkpoint, params)
        if trial.state is not TrialState.WAITING:
            await self.study.journal.durable()
            return None
        assignment = self._search.next({trial.number})
        await self.study.journal.durable()
        if assignment is None:
            return None
        assert assignment.trial == trial.number
        self._pool.begins(member, member, trial.number)
        resume_uri = await self.study.resume_uri(assignment)
        if assignment.checkpoint_of is not None and resume_uri is None:
            self.study.outcomes.refuse_forgotten(assignment)
            await self.study.journal.durable()
            return None
        ledger, gpus = self._search.history.ledger, self.study.spec.resources.gpus
        return MemberTask(
            assignment=assignment,
            folder=self.study.folder_of(trial.number),
            resume_uri=resume_uri,
            seconds_left=ledger.seconds_left(self._pool.busy * gpus),
        )

    def _trial_to_train(
        self, member: str, first_trial: int, checkpoint: MemberCheckpoint | None, params: Mapping[str, Any]
    ) -> Trial:
        """A member's present trial, after what Tune has decided of it; it waits where it may be trained."""
        history = self._search.history
        trial = history.trials[self._trial_of.setdefault(member, first_trial)]
        if trial.state is TrialState.RUNNING:  # Tune begins again with a member whose process died
            self._pool.ends(member)
            silent = self._silent.pop(trial.number, None)
            reason = "the process that Ray Tune gave it died" if silent is None else silent.reason
            self._search.lost(trial.number, trial.attempt, reason, blamed=silent is None or silent.blamed)
        if checkpoint is not None and checkpoint.trial != trial.number:
            clone = checkpoint.trial, checkpoint.epoch, dict(params)
            if self._cloned.get(member) != clone:
                self._cloned[member] = clone
                trial = self._clone(member, trial, history.trials[clone[0]], clone[1], params)
        if trial.state is TrialState.PAUSED:
            self._search.allocation.direct(Promotion(trial=trial.number, reason="Ray Tune lets it train on"))
        return trial

    def _clone(self, member: str, trial: Trial, parent: Trial, epoch: int, params: Mapping[str, Any]) -> Trial:
        """End a member's trial, and begin one from another's checkpoint; the trial it has now.

        Where the parent has trained on since Tune compared it, the checkpoint may be gone: its latest is taken then, if
        there is any.
        """
        there = self._search.models.needed_checkpoints(parent.number)
        if epoch not in there:
            epoch = max(there, default=0) if parent.has_own_checkpoint else 0
        if not 0 < epoch < self.study.spec.max_epochs or self._search.history.ledger.epochs_left <= 0:
            return trial
        if not trial.state.is_final:
            reason = f"epoch {trial.epochs}: Ray Tune clones trial {parent.number} instead"
            if self._search.allocation.direct(Retirement(trial=trial.number, reason=reason)) is None:
                return trial
        child = self._search.allocation.direct(
            Proposal(
                params=params,
                bracket=trial.bracket,
                parent=parent.number,
                from_epoch=epoch,
                origin=f"replaces trial {trial.number}: continues trial {parent.number} as Ray Tune decided, "
                + changes(parent.params, params),
            )
        )
        if child is None:
            return trial
        self._trial_of[member] = child
        return self._search.history.trials[child]


class PopulationCoordinator(Coordinator):
    """The actor of a `PopulationRun`."""

    def __init__(
        self, url_file: str, spec: Mapping[str, Any], checkpoints_uri: str, conditions: Conditions, workers: int
    ):
        """As `Coordinator`; so many members train at the same time at most."""
        super().__init__(url_file, spec, checkpoints_uri, conditions)
        self._workers = workers

    def make_run(self, study: OpenedStudy) -> PopulationRun:
        """As `Coordinator.make_run`."""
        return PopulationRun(study, self.make_inputs_check(study), self._workers)

    @property
    def _population(self) -> PopulationRun:
        assert isinstance(self.study_run, PopulationRun)
        return self.study_run

    # -- for the process that runs studies --------------------------------------------------------------------------

    async def begin_tuner(self) -> list[MemberStart]:
        """As `PopulationRun.begin_tuner`, once the study goes on."""
        await self.signals.taken_up.wait()
        return await self._population.begin_tuner()

    async def epochs(self) -> int:
        """Epochs recorded so far."""
        return self._population.study.search.history.ledger.epochs

    async def wants_model(self) -> bool:
        """Whether the study is to have its result now: nobody has stopped it."""
        return not self.signals.stop_requested and self.signals.failure is None

    async def close_population(self, trainers: Mapping[str, TrainerHandle]) -> None:
        """As `PopulationRun.close`."""
        await self._population.close(trainers)

    # -- for members ------------------------------------------------------------------------------------------------

    async def order(
        self,
        member: str,
        first_trial: int,
        checkpoint: MemberCheckpoint | None,
        params: Mapping[str, Any],
        process: Any = None,
    ) -> MemberTask | None:
        """As `PopulationRun.order`."""
        return await self._population.order(member, first_trial, checkpoint, params, process)

    async def settle(self, member: str, trial: int, attempt: int, outcome: Outcome | None) -> MemberInterval:
        """As `PopulationRun.settle`."""
        return await self._population.settle(member, trial, attempt, outcome)


PopulationCoordinatorActor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, max_concurrency=10_000)(
    PopulationCoordinator
)
