"""Who trains what: gives trainers one assignment after the other, and says which trainers are to be replaced.

Knows Search's assignments and the trainers' actor handles. Must not know how trainers come to be, nor when a study
ends.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from bandstand.errors import BandstandError, one_line
from bandstand.search.protocol import Assignment
from bandstand.traces import Span, span
from bandstand.trials.events import Action, TrialState
from bandstand.trials.failure_kinds import OUT_OF_MEMORY, TOO_SLOW
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.signals import Departure
from bandstand_workers.coordinator.time_use import TimeUse
from bandstand_workers.coordinator.trainers.affinity import Affinity
from bandstand_workers.coordinator.trainers.deaths import Deaths
from bandstand_workers.coordinator.trainers.inputs_check import InputsCheck
from bandstand_workers.coordinator.trainers.memory_deaths import MemoryDeaths
from bandstand_workers.coordinator.trainers.silence import Overdue, Silence
from bandstand_workers.coordinator.trainers.trainer_pool import TrainerPool
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.fleet.places import node_died, wait_for_verdict
from bandstand_workers.messages import Failure, Outcome

__all__ = ["Assigner"]

_MEMORY_FACTOR = 3.0
"""Where the study sets no memory: a trainer that has grown to so many times what it had with its data loaded, before
it trained for any study, is replaced."""
_AHEAD, _AHEAD_LIMIT = 4, 32
"""Trials that wait for each that can be trained at a time, and in all, where the strategy can foresee them."""


class Assigner:
    """The trainers of one study at work, each with as many assignments as it trains trials at once."""

    def __init__(self, study: OpenedStudy, inputs: InputsCheck):
        """No trainer is there yet.

        Args:
            study: what is trained.
            inputs: says whether the study has stopped because of a trainer's data or code.
        """
        spec = study.spec
        self.pool = TrainerPool(spec.resources.trials_at_once)
        self.time_use = TimeUse(lambda: (len(self.pool.trainers), self.pool.busy))
        self._study = study
        self._search = study.search
        self._signals = study.signals
        self._inputs = inputs
        self._serving: dict[str, asyncio.Task[None]] = {}  # by seat
        self._baseline_memory: dict[str, int] = {}
        # Where there is a GPU, XLA may compile, for batches of one size.
        self._affinity = Affinity(None if spec.resources.gpus else spec.batch_size)
        self._deaths = Deaths()
        self.memory = MemoryDeaths()
        self.silence = Silence(spec.epoch_seconds)
        self.ended: dict[str, list[Overdue]] = {}
        """The trainers that were ended, with the trials that were silent."""

    def join(self, name: str, trainer: TrainerHandle) -> None:
        """Give work to this trainer from now on; it must have been prepared for the study, and have its data."""
        self.pool.join(name, trainer)
        self._fill_seats(name, trainer)

    def call_back(self) -> None:
        """Have trainers serve again that went when there was nothing to do: a user has asked for more since."""
        if self._search.done or self._signals.stop_requested:
            return
        for name, trainer in self.pool.trainers.items():
            self._fill_seats(name, trainer)

    def cancel(self) -> None:
        """Give out no more, and wait for nothing that is under way."""
        for task in self._serving.values():
            task.cancel()

    # -- one trainer --------------------------------------------------------------------------------------------------

    def _fill_seats(self, name: str, trainer: TrainerHandle) -> None:
        """Have each seat of a trainer served that is not."""
        for seat in self.pool.seats_of(name):
            if seat not in self._serving or self._serving[seat].done():
                self._serving[seat] = asyncio.get_running_loop().create_task(self._serve(name, seat, trainer))

    async def _serve(self, name: str, seat: str, trainer: TrainerHandle) -> None:
        """Give a seat of a trainer one assignment after the other until the study is done or the trainer gone."""
        try:
            await self.see_baseline(name, trainer)
            while self.pool.works(name):
                assignment = self._next_for(name, seat)
                if assignment is None:
                    if self._search.done or self._signals.stop_requested:
                        self._signals.wake()
                        return
                    await self._signals.change()
                    continue
                self.time_use.turn()
                self.pool.begins(seat, name, assignment.trial)
                self.silence.begins(assignment.trial)
                self.memory.begins(assignment.trial)
                try:
                    with span("train a trial", _traced(name, assignment)) as attempt:
                        await self._train(name, trainer, assignment, attempt)
                finally:
                    self.time_use.turn()
                    self.pool.ends(seat)
                    self.silence.ends(assignment.trial)
                    self.memory.ends(assignment.trial)
                    self._signals.wake()
                await self._let_go(name)
        except ray.exceptions.RayActorError as error:
            self.depart(name, f"it died: {one_line(error)}")
        except BandstandError as error:
            self._signals.fail(error)

    async def _train(self, name: str, trainer: TrainerHandle, assignment: Assignment, attempt: Span) -> None:
        """Have one assignment trained; `attempt` is told how it ends."""
        study, trial = self._study, assignment.trial
        self._affinity.given(name, assignment.params)
        folder = study.folder_of(trial)
        await self.time_use.storing(study.journal.durable())  # what a trainer is told is stored first
        resume_uri = await study.resume_uri(assignment)
        if assignment.checkpoint_of is not None and resume_uri is None:
            study.outcomes.refuse_forgotten(assignment)
            await study.journal.durable()
            return
        seconds_left = self._search.history.ledger.seconds_left(self.pool.busy * study.spec.resources.gpus)
        me = ray.get_runtime_context().current_actor
        try:
            outcome: Outcome | None = await trainer.train.remote(me, assignment, folder, resume_uri, seconds_left)
        except ray.exceptions.RayActorError as error:
            attempt.fail("its trainer died")
            await self._lose(name, trainer, assignment, error)
        except ray.exceptions.RayTaskError as error:
            attempt.fail(one_line(error.cause or error))
            await self._fail(assignment, error)
        else:
            if outcome is not None:
                attempt.tell({"bandstand.action": outcome.action, "bandstand.node": outcome.node})
                if outcome.failure is not None:
                    attempt.fail(f"{outcome.failure.kind}: {outcome.failure.message}")
            self._affinity.trained(name, trial, None if outcome is None else outcome.program_signature)
            if outcome is not None:
                self.memory.seen_on(name, outcome.node)
                if outcome.failure is not None and outcome.failure.kind == OUT_OF_MEMORY:
                    await self._ran_out(name, assignment, outcome.failure)
                    if self._search.history.trials[trial].state is not TrialState.RUNNING:
                        return
            await study.outcomes.take(name, trial, assignment.attempt, outcome)
            if outcome is not None:
                self.watch_memory(name, outcome.memory_bytes)

    async def _lose(self, name: str, trainer: TrainerHandle, assignment: Assignment, error: BaseException) -> None:
        """A trainer has died under an assignment."""
        if name in self.ended:
            await self._lose_silent(name, assignment)
            return
        trial = assignment.trial
        under_way = self.pool.died_with(name)
        verdict = await wait_for_verdict(trainer, error)
        epochs = {number: self._search.history.trials[number].checkpoint_epoch for number in under_way}
        blamed = self._deaths.are_due_to(trial, name, verdict, epochs)
        batch_size = self._study.spec.batch_size_for(assignment.params)
        short = None if node_died(verdict) else self.memory.message(trial, under_way, verdict, batch_size)
        if short is None:
            self._search.lost(trial, assignment.attempt, one_line(verdict), blamed=blamed)
        else:
            others = self.pool.busy > 1
            again = not blamed or (self.memory.had_company(trial, others) and self.memory.retries_alone(trial, name))
            self._end_for_memory(assignment, short, again=again, blamed=blamed)
        self.depart(name, f"it died: {short or one_line(verdict)}")
        await self._study.journal.durable()

    async def _ran_out(self, name: str, assignment: Assignment, failure: Failure) -> None:
        """A training has raised that memory ran out: its process is replaced, and it may have one more chance."""
        self.pool.dismiss(name, "a trial ran out of memory in it")
        if failure.crowded and self.memory.retries_alone(assignment.trial, name):
            self._end_for_memory(assignment, failure.message, again=True, blamed=True)
            await self._study.journal.durable()

    def _end_for_memory(self, assignment: Assignment, message: str, *, again: bool, blamed: bool) -> None:
        """End a trial that ran out of memory, or begin it again if others may have taken what it lacked."""
        trial, attempt = assignment.trial, assignment.attempt
        if again or self._search.history.trials[trial].action is Action.STOP:  # its end was settled before
            self._search.lost(trial, attempt, message, blamed=blamed, kind=OUT_OF_MEMORY)
        elif self._search.history.trials[trial].attempt == attempt:
            self._search.fail(trial, attempt, OUT_OF_MEMORY, message, signature=OUT_OF_MEMORY)

    async def _lose_silent(self, name: str, assignment: Assignment) -> None:
        """A trainer was ended under an assignment, because one of its trials had been silent for too long."""
        silent = {overdue.trial: overdue for overdue in self.ended[name]}
        cause = silent.get(assignment.trial) or self.ended[name][0]
        blamed = cause.blamed and assignment.trial in silent
        self._search.lost(assignment.trial, assignment.attempt, cause.reason, blamed=blamed, kind=TOO_SLOW)
        self.depart(name, cause.reason)
        await self._study.journal.durable()

    async def _fail(self, assignment: Assignment, error: Any) -> None:
        """A trainer has raised, other than by what it trained."""
        trial, attempt = assignment.trial, assignment.attempt
        if self._inputs.refusal is not None:
            self._search.lost(trial, attempt, self._inputs.refusal, blamed=False)
        else:
            self._search.fail(trial, attempt, "internal", one_line(error.cause or error), detail=str(error)[-20_000:])
        await self._study.journal.durable()

    # -- trainers that say nothing ------------------------------------------------------------------------------------

    def end_silent(self) -> None:
        """End the trainers whose trials have been silent for too long, and tell of those that soon will have been."""
        overdue = {found.trial: found for found in self.find_silent()}
        for name, trainer in list(self.pool.trainers.items()):
            silent = [overdue[trial] for trial in self.pool.under_way(name) if trial in overdue]
            if silent and name not in self.ended:
                self.ended[name] = silent
                self.kill(name, trainer)

    def find_silent(self) -> list[Overdue]:
        """The trials that have been silent for too long; users are told of those that soon will have been."""
        self.silence.over(self._why_over(), self._signals.grace_seconds)
        for warning in self.silence.warnings():
            self._search.note(warning)
        return self.silence.overdue()

    def kill(self, name: str, trainer: TrainerHandle) -> None:
        """End a trainer's process, whatever it does."""
        ray.kill(trainer)

    def _why_over(self) -> str | None:
        """Why nothing may train any more; None where it may."""
        if self._signals.stop_requested:
            return "the study was stopped, and the epoch did not end in time"
        left = self._search.history.ledger.seconds_left(self.pool.busy * self._study.spec.resources.gpus)
        return "the time of the budget is used, and the epoch did not end in time" if left == 0 else None

    # -- which assignment ---------------------------------------------------------------------------------------------

    def _next_for(self, name: str, seat: str) -> Assignment | None:
        with self.time_use.deciding():
            suspect = self.memory.to_begin(self._search.history.waiting)
            if self.memory.must_wait(name, self.pool.busy_names):
                return None
            if self.pool.seats > 1 and self._study.spec.trainer != "fit":
                # Several are trained at a time, by compiled programs: so that trainers may choose among what waits.
                self._search.look_ahead(min(_AHEAD_LIMIT, _AHEAD * self.pool.seats))
            assignment = self._search.next(self.preferred(name) if suspect is None else {suspect}, seat)
            if assignment is not None:
                self.memory.begins_alone(assignment.trial, name)
            return assignment

    def preferred(self, name: str) -> set[int]:
        """The waiting trials that this trainer would have least work to take up."""
        if self.pool.seats < 2:
            return set()  # there is nobody to leave the others to, and a study must not depend on what it remembers
        waiting = {number: self._search.history.trials[number] for number in self._search.history.waiting}
        chosen = self._affinity.of(name, {number: trial.params for number, trial in waiting.items()})
        if any(map(self._is_suspect, self.pool.under_way(name))):  # two would hide behind each other
            chosen = {number for number in chosen or waiting if not self._is_suspect(number)}
        return chosen

    def _is_suspect(self, trial: int) -> bool:
        return self._deaths.make_suspect(trial, self._search.history.trials[trial].checkpoint_epoch)

    # -- who is to be replaced ----------------------------------------------------------------------------------------

    async def see_baseline(self, name: str, trainer: TrainerHandle) -> None:
        """Learn what memory a trainer had before it trained."""
        if name not in self._baseline_memory:
            self._baseline_memory[name] = await trainer.baseline_memory_bytes.remote()

    def watch_memory(self, name: str, memory_bytes: int) -> None:
        """Give no more work to a trainer that has grown so much that it is to be replaced."""
        limit = self._baseline_memory[name] * _MEMORY_FACTOR
        memory_gb = self._study.spec.resources.memory_gb
        if memory_gb is not None:
            limit = memory_gb * 1e9
        if memory_bytes > limit:
            reason = f"it used {memory_bytes / 1e9:.1f} GB of memory, more than {limit / 1e9:.1f} GB"
            self.pool.dismiss(name, reason)

    async def _let_go(self, name: str) -> None:
        """Have a trainer replaced if it was given no more work, and has written its checkpoints."""
        reason = self.pool.dismissed(name)
        while reason is not None and self._study.pauses.under_way(name):
            await self._signals.change()
        if reason is not None and name in self.pool.trainers:
            self._search.note(f"a trainer was replaced between two trials: {reason}")
            self.depart(name, reason)

    def depart(self, name: str, reason: str) -> None:
        """A trainer is gone, or to go; said once, whichever of its seats finds out first."""
        self.time_use.turn()
        if not self.pool.leave(name):
            return
        self._affinity.forget(name)
        self._study.pauses.abandon(name, reason)
        self._signals.departures.put_nowait(Departure(name=name, reason=reason))
        self._signals.wake()


def _traced(trainer: str, assignment: Assignment) -> dict[str, str | float | None]:
    """What the span of an attempt is about."""
    return {
        "bandstand.trainer": trainer,
        "bandstand.trial": assignment.trial,
        "bandstand.attempt": assignment.attempt,
        "bandstand.from_epoch": assignment.from_epoch,
        "bandstand.until_epoch": assignment.until_epoch,
    }
