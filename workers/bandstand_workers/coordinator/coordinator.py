"""The coordinator: runs one study. Feeds Search with what trainers report, stores every event, and answers.

The only writer of its study. Knows Search, the store's writer and the trainers' actor handles. Must not know Keras, nor
how trainers come to be.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray

from bandstand import stored_files
from bandstand.errors import BandstandError, InputError, ServiceError, one_line
from bandstand.running.messages import Refused, StudyOutcome
from bandstand.search.protocol import Assignment, Measurement, StaleAttemptError, Verdict
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.strategies import make_strategy
from bandstand.study.study import StudySpec
from bandstand.trials.data_fingerprint import DataPrint, describe_print
from bandstand_workers.coordinator.affinity import Affinity
from bandstand_workers.coordinator.blame import Blame
from bandstand_workers.coordinator.chosen_model import ChosenModel
from bandstand_workers.coordinator.crew import Crew
from bandstand_workers.coordinator.environment import describe_environment
from bandstand_workers.coordinator.intake import Intake
from bandstand_workers.coordinator.journal import Journal
from bandstand_workers.coordinator.outcomes import Outcomes
from bandstand_workers.coordinator.pauses import Pauses
from bandstand_workers.coordinator.pulse import PulseCounter
from bandstand_workers.fleet.places import wait_for_verdict

__all__ = ["Coordinator", "CoordinatorActor"]

_TICK_SECONDS = 1.0
_ACCOUNT_SECONDS = 10.0
"""Between two entries of time used, where time is not limited."""
_MEMORY_FACTOR = 3.0
"""Where the study sets no memory: a trainer that has grown to so many times what it had with its data loaded, before
it trained for any study, is replaced."""
_AHEAD, _AHEAD_LIMIT = 4, 32
"""Trials that wait for each that can be trained at a time, and in all, where the strategy can foresee them."""
_log = logging.getLogger(__name__)


class Coordinator:
    """One study's coordinator. All decisions happen on its event loop, so that they have one order."""

    def __init__(self, url_file: str, spec: Mapping[str, Any], checkpoints_uri: str, data_may_differ: bool = False):
        """Nothing is opened before `run`.

        Args:
            url_file: file that holds the database URL, readable by this user alone; it is removed once read, so that
                the secret travels in no actor's arguments.
            spec: the study.
            checkpoints_uri: folder under which checkpoints and models go.
            data_may_differ: whether trainers are given work whose data are not those of the study's first trainer.
        """
        path = Path(url_file)
        self._url = path.read_text()  # at once: it must not lie there while this coordinator waits for its study
        path.unlink()
        self._spec = StudySpec.model_validate(spec)
        self._checkpoints_uri = checkpoints_uri
        self._data_may_differ = data_may_differ
        self._has_the_data: set[str] = set()  # trainers
        self._other_data = ""
        """Why a trainer was refused for its data, if one was; the study stops then."""
        self._store: Store | None = None
        self._opening = asyncio.Lock()
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        self._departed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._crew = Crew(self._spec.resources.trials_at_once)
        self._baseline_memory: dict[str, int] = {}
        self._failure: BandstandError | None = None
        self._stop_requested = False
        # Where there is a GPU, XLA may compile, for batches of one size.
        self._affinity = Affinity("" if self._spec.resources.gpus else self._spec.batch_size)
        self._blame = Blame()
        self._accounted_at = 0.0
        self._pulse = PulseCounter(lambda: (len(self._crew.trainers), self._crew.busy))
        self._concluding = False

    # -- for the process that runs studies --------------------------------------------------------------------------

    async def warm_up(self) -> None:
        """Import and open what `run` needs, while trainers start; nothing of the study is written."""
        async with self._opening:
            with suppress(BandstandError):  # `run` says it
                await asyncio.to_thread(self._warm_up)

    def _warm_up(self) -> None:
        self._opened_store().prepare_claim(self._spec)
        make_strategy(self._spec)

    def _opened_store(self) -> Store:
        if self._store is None:
            self._store = Store(self._url)
        return self._store

    async def run(self, trainers: Mapping[str, Any]) -> StudyOutcome | Refused:
        """Run the study to its end, or until it is stopped."""
        try:
            await self._open()
        except BandstandError as error:
            return Refused.because_of(error)
        tasks = [asyncio.create_task(self._journal.write_batches())]
        try:
            if not await self._have_the_data(trainers):
                return await self._refused()
            await self._begin()
            self._opened.set()
            tasks.append(asyncio.create_task(self._tick()))
            if self._search.history.ended is None:
                await self._note_environment()
            for name, trainer in trainers.items():
                await self.join(name, trainer)
            await self._until_done()
            while (outcome := await self._conclude()) is None:
                await self._until_done()
            return outcome
        except BandstandError as error:
            return StudyOutcome(state="failed", reason=str(error))
        finally:
            for task in [*tasks, *self._serving.values()]:
                task.cancel()
            await self._journal.close()
            if self._store is not None:
                self._store.close()

    async def join(self, name: str, trainer: Any) -> None:
        """Give work to this trainer from now on; it must have been prepared for the study, and have its data."""
        await self._opened.wait()
        self._pulse.turn()
        if await self._is_admitted(name, trainer):
            self._crew.join(name, trainer)
            self._seat(name, trainer)

    async def idle(self) -> int:
        """How many trainers have nothing to train."""
        return self._crew.idle

    async def departure(self) -> tuple[str, str]:
        """Wait until a trainer is to be replaced; its name and why."""
        return await self._departed.get()

    async def stop(self) -> None:
        """Pause what is under way, then end; the study can be taken up again."""
        self._stop_requested = True
        if hasattr(self, "_search"):
            self._search.stop()
            self._wake_all()

    # -- for trainers -----------------------------------------------------------------------------------------------

    async def report(self, trial: int, attempt: int, measurements: Sequence[Measurement]) -> Verdict | None:
        """Epochs have ended; the answer to the last is durable when it is given.

        Returns:
            None where the attempt is no longer the trial's.
        """
        verdict = None
        try:
            for measurement in measurements:
                with self._pulse.deciding():
                    verdict = self._search.report(trial, attempt, measurement)
        except StaleAttemptError as error:
            _log.warning("%s", error)
            return None
        await self._pulse.storing(self._journal.durable())
        return verdict

    async def checkpointed(self, trial: int, attempt: int, epoch: int, uri: str, error: str) -> None:
        """A checkpoint is durable; `error` says why it is not."""
        wanted = False
        try:
            if error:
                self._search.note(f"a checkpoint of trial {trial} could not be written: {error}")
            else:
                self._search.checkpointed(trial, attempt, epoch, uri)
                wanted = self._search.history.trials[trial].checkpoint_epoch == epoch
        except StaleAttemptError as stale:
            _log.warning("%s", stale)
        else:
            self._pauses.written(trial, attempt, epoch, error)
        await self._journal.durable()
        self._wake_all()
        if not wanted and not error:
            await asyncio.to_thread(stored_files.delete, uri)

    # -- opening and ending -----------------------------------------------------------------------------------------

    async def _open(self) -> None:
        holder = f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
        async with self._opening:
            store = await asyncio.to_thread(self._opened_store)
        self._writer = await asyncio.to_thread(store.claim, self._spec, holder)
        events = await asyncio.to_thread(self._writer.events)
        self._search = Search.restore(self._spec, events)
        replayed = await asyncio.to_thread(store.replayed_data, self._spec.name)
        if replayed is not None and self._search.history.data is None:
            self._search.see_data(replayed)
        self._pauses = Pauses(self._search)
        self._journal = Journal(self._search, self._writer, self._wake_all)
        self._intake = Intake(self._search, self._writer, self._journal)
        self._outcomes = Outcomes(self._search, self._writer, self._journal, self._pauses)
        await asyncio.to_thread(self._writer.catch_up_mirror, self._search.history)
        if not events:
            self._search.begin()

    async def _begin(self) -> None:
        """Let the study go on from where it stands."""
        if self._search.history.ended is not None and self._search.history.ended.failed:
            self._search.reopen()  # whoever runs it again has mended something
        self._accounted_at = time.monotonic()
        for trial in self._search.history.trials:
            self._search.lost(trial.number, trial.attempt, "the coordinator ended", blamed=False)
        await self._intake.take()
        if self._search.history.ended is None:
            await self._journal.call(partial(self._writer.set_study, state="running", reason="", ended_at=None))
        if self._stop_requested:
            self._search.stop()

    async def _note_environment(self) -> None:
        """What trains in this run, and on which data."""
        data = self._search.history.data
        environment = describe_environment(ray.cluster_resources()) | (describe_print(data) if data else {})
        await self._journal.call(partial(self._writer.set_study, environment=environment))

    # -- one data set for all ---------------------------------------------------------------------------------------

    async def _have_the_data(self, trainers: Mapping[str, Any]) -> bool:
        """Whether all of these trainers have the study's data; the first one's are, where it has none yet."""
        for name, trainer in trainers.items():
            try:
                if not await self._has_data(name, trainer):
                    return False
            except ray.exceptions.RayError:
                continue  # it is replaced when it is given work
        return True

    async def _is_admitted(self, name: str, trainer: Any) -> bool:
        """Whether a trainer may join the crew. One that has died is to be replaced; other data stop the study."""
        try:
            return await self._has_data(name, trainer)
        except ray.exceptions.RayActorError as error:
            self._departed.put_nowait((name, f"it died: {one_line(error)}"))
        except BandstandError as error:
            self._failure = error
            self._wake_all()
        return False

    async def _has_data(self, name: str, trainer: Any) -> bool:
        """Whether a trainer has the study's data; if not, the study stops."""
        if name in self._has_the_data:
            return True
        try:
            remarks = [] if self._search.history.data else await trainer.remarks.remote()
            fingerprint = await trainer.fingerprint.remote()
        except ray.exceptions.RayTaskError as error:
            raise ServiceError(f"a trainer cannot describe its data: {one_line(error.cause or error)}") from error
        if await self.take_data(fingerprint, remarks):
            self._has_the_data.add(name)
        return name in self._has_the_data

    async def take_data(self, fingerprint: DataPrint, remarks: Sequence[str]) -> bool:
        """Whether a trainer with these data may be given work; if not, the study stops.

        Args:
            fingerprint: of the data. Those of the first trainer are the study's.
            remarks: on the data, of which the study tells its user where they are the first.
        """
        if self._search.history.data is None:
            self._search.see_data(fingerprint)
            for remark in remarks:
                self._search.note(remark)
            if self._opened.is_set():
                await self._note_environment()
        refusal = self._search.compare_data(fingerprint, may_differ=self._data_may_differ)
        if refusal and not self._other_data:
            self._other_data = refusal
            await self.stop()
        await self._journal.durable()
        return not refusal

    async def _refused(self) -> Refused:
        """What is answered of a study that stops because a trainer has other data; it can be taken up again."""
        state: Any = await self._journal.call(self._writer.study_columns)
        if state.state in ("queued", "running"):
            await self._journal.call(partial(self._writer.set_study, state="stopped", reason=self._other_data))
        return Refused.because_of(InputError(self._other_data))

    async def _until_done(self) -> None:
        while not (self._search.done and not self._crew.busy):
            failure = self._failure or self._journal.failure
            if failure:
                raise failure
            self._call_back()
            await self._change()

    def _call_back(self) -> None:
        """Have trainers serve again that went when there was nothing to do: a user has asked for more since."""
        if self._search.done or self._stop_requested:
            return
        for name, trainer in self._crew.trainers.items():
            self._seat(name, trainer)

    async def _conclude(self) -> StudyOutcome | Refused | None:
        """What came of the study; None where a user has asked for more meanwhile, so that it goes on."""
        self._concluding = True
        self._account()
        ended = self._search.conclude()
        await self._journal.durable()
        model = ChosenModel(self._search, self._writer, self._journal, self._folder_of)
        if ended is None:
            await model.keep(self._crew.trainers.values())
            if self._other_data:
                return await self._refused()
            await self._journal.call(partial(self._writer.set_study, state="stopped"))
            outcome = StudyOutcome(state="stopped", reason="it was stopped before its budget was used")
        else:
            if not ended.failed:
                await model.settle(self._crew.trainers.values())
                await self._journal.forget_checkpoints()  # a failed one may be run again, from where its trials stand
            outcome = StudyOutcome(state="failed" if ended.failed else "finished", reason=ended.reason)
            await self._journal.call(partial(self._writer.set_study, state=outcome.state, reason=outcome.reason))
            if not ended.failed:
                await self._intake.take()
                if self._search.history.ended is None and not self._stop_requested:
                    await self._journal.call(partial(self._writer.set_study, state="running", ended_at=None))
                    self._concluding = False
                    return None
        await self._journal.bring_optuna_up_to_date()
        return outcome

    def _folder_of(self, trial: int) -> str:
        return stored_files.trial_place(self._checkpoints_uri, self._writer.study_id, trial)

    # -- serving trainers -------------------------------------------------------------------------------------------

    def _seat(self, name: str, trainer: Any) -> None:
        """Have each seat of a trainer served that is not."""
        for seat in self._crew.seats_of(name):
            if seat not in self._serving or self._serving[seat].done():
                self._serving[seat] = asyncio.get_running_loop().create_task(self._serve(name, seat, trainer))

    async def _serve(self, name: str, seat: str, trainer: Any) -> None:
        """Give a seat of a trainer one assignment after the other until the study is done or the trainer gone."""
        try:
            if name not in self._baseline_memory:
                self._baseline_memory[name] = await trainer.baseline_memory_bytes.remote()
            while self._crew.works(name):
                with self._pulse.deciding():
                    if self._look_ahead:
                        self._search.look_ahead(min(_AHEAD_LIMIT, _AHEAD * self._crew.seats))
                    assignment = self._search.next(self._preferred(name), seat)
                if assignment is None:
                    if self._search.done or self._stop_requested:
                        self._wake_all()
                        return
                    await self._change()
                    continue
                self._pulse.turn()
                self._crew.begins(seat, name, assignment.trial)
                try:
                    await self._train(name, trainer, assignment)
                finally:
                    self._pulse.turn()
                    self._crew.ends(seat)
                    self._wake_all()
                await self._let_go(name)
        except ray.exceptions.RayActorError as error:
            self._depart(name, f"it died: {one_line(error)}")
        except BandstandError as error:
            self._failure = error
            self._wake_all()

    async def _train(self, name: str, trainer: Any, assignment: Assignment) -> None:
        """Have one assignment trained."""
        trial, attempt = assignment.trial, assignment.attempt
        self._affinity.given(name, assignment.params)
        folder = self._folder_of(trial)
        await self._pulse.storing(self._journal.durable())  # what a worker is told is stored first
        resume_uri = await self._resume_uri(assignment)
        if assignment.checkpoint_of is not None and resume_uri is None:
            self._outcomes.refuse_forgotten(assignment)
            await self._journal.durable()
            return
        seconds_left = self._search.history.ledger.seconds_left(self._crew.busy * self._spec.resources.gpus)
        me = ray.get_runtime_context().current_actor
        try:
            outcome = await trainer.train.remote(me, assignment, folder, resume_uri, seconds_left)
        except ray.exceptions.RayActorError as error:
            under_way = self._crew.died_with(name)
            verdict = await wait_for_verdict(trainer, error)
            epochs = {number: self._search.history.trials[number].checkpoint_epoch for number in under_way}
            blamed = self._blame.falls_on(trial, name, verdict, epochs)
            self._search.lost(trial, attempt, one_line(verdict), blamed=blamed)
            self._depart(name, f"it died: {one_line(verdict)}")
            await self._journal.durable()
            return
        except ray.exceptions.RayTaskError as error:
            if self._other_data:
                self._search.lost(trial, attempt, self._other_data, blamed=False)
                await self._journal.durable()
                return
            self._search.fail(trial, attempt, "internal", one_line(error.cause or error), detail=str(error)[-20_000:])
            await self._journal.durable()
            return
        self._affinity.trained(name, trial, outcome.signature)
        await self._outcomes.take(name, trial, attempt, outcome)
        self._watch_size(name, outcome.memory_bytes)

    async def _resume_uri(self, assignment: Assignment) -> str | None:
        """Where the checkpoint is that an assignment begins from; None where it begins with none, or none is left."""
        if assignment.checkpoint_of is None:
            return None
        source = assignment.checkpoint_of, assignment.from_epoch
        uri: str | None = await self._journal.call(partial(self._writer.checkpoint_uri, *source))
        return uri

    def _preferred(self, name: str) -> set[int]:
        """The waiting trials that this trainer would have least work to take up."""
        if self._crew.seats < 2:
            return set()  # there is nobody to leave the others to, and a study must not depend on what it remembers
        waiting = {number: self._search.history.trials[number] for number in self._search.history.waiting}
        chosen = self._affinity.of(name, {number: trial.params for number, trial in waiting.items()})
        if any(map(self._is_suspect, self._crew.under_way(name))):  # two would hide behind each other
            chosen = {number for number in chosen or waiting if not self._is_suspect(number)}
        return chosen

    def _is_suspect(self, trial: int) -> bool:
        return self._blame.is_suspect(trial, self._search.history.trials[trial].checkpoint_epoch)

    @property
    def _look_ahead(self) -> bool:
        """Whether trials wait so that trainers may choose: several are trained at a time, by compiled programs."""
        return self._crew.seats > 1 and self._spec.trainer != "fit"

    def _watch_size(self, name: str, memory_bytes: int) -> None:
        """Give no more work to a trainer that has grown so much that it is to be replaced."""
        limit = self._baseline_memory[name] * _MEMORY_FACTOR
        if self._spec.resources.memory_gb is not None:
            limit = self._spec.resources.memory_gb * 1e9
        if memory_bytes > limit:
            reason = f"it used {memory_bytes / 1e9:.1f} GB of memory, more than {limit / 1e9:.1f} GB"
            self._crew.dismiss(name, reason)

    async def _let_go(self, name: str) -> None:
        """Have a trainer replaced if it was given no more work, and has written its checkpoints."""
        reason = self._crew.dismissed(name)
        while reason and self._pauses.under_way(name):
            await self._change()
        if reason and name in self._crew.trainers:
            self._search.note(f"a trainer was replaced between two trials: {reason}")
            self._depart(name, reason)

    def _depart(self, name: str, reason: str) -> None:
        """A trainer is gone, or to go; said once, whichever of its seats finds out first."""
        self._pulse.turn()
        if not self._crew.leave(name):
            return
        self._affinity.forget(name)
        self._pauses.abandon(name, reason)
        self._departed.put_nowait((name, reason))
        self._wake_all()

    # -- time ----------------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Account for time, say that the study is alive, hear whether it is to stop."""
        budget = self._spec.budget
        timed = budget.wall_seconds is not None or budget.gpu_hours is not None
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                if timed or time.monotonic() - self._accounted_at > _ACCOUNT_SECONDS:
                    self._account()
                    await self._journal.durable()
                heard = await self._journal.call(self._writer.heartbeat, self._pulse.figures())
                if heard.requests and not self._concluding:
                    await self._intake.take()
                if heard.stop:
                    await self.stop()
            except BandstandError as error:
                self._failure = error
            self._wake_all()

    def _account(self) -> None:
        """Book the time since the last call, unless there was no trainer to train anything."""
        seconds = time.monotonic() - self._accounted_at
        self._accounted_at += seconds
        if not self._may_train():
            return
        self._search.spend(wall_seconds=seconds, gpu_seconds=self._crew.busy * self._spec.resources.gpus * seconds)

    def _may_train(self) -> bool:
        """Whether there is anybody to train."""
        return bool(self._crew.trainers)

    # -- waiting ----------------------------------------------------------------------------------------------------

    def _wake_all(self) -> None:
        self._changed.set()

    async def _change(self) -> None:
        """Wait until something has happened that may change what there is to do."""
        self._changed.clear()
        await self._changed.wait()


# Not detached: it ends with the process that runs studies, and only that process begins it again.
CoordinatorActor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, max_concurrency=10_000)(Coordinator)
