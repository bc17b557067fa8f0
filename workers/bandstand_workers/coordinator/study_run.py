"""A study from the moment that it is opened to its outcome, with trainers that come and go.

Knows the order of things: data checked, taken up, trained, concluded. Must not know who trains what, nor processes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from bandstand import stored_files
from bandstand.errors import BandstandError, InputError
from bandstand.running.messages import RunRefused, StudyOutcome
from bandstand.search.protocol import Measurement, StaleAttemptError, Verdict
from bandstand.trials.events import StudyEnded
from bandstand_workers.coordinator.chosen_model import ChosenModel
from bandstand_workers.coordinator.heartbeat import Heartbeat
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.trainers.assigner import Assigner
from bandstand_workers.coordinator.trainers.inputs_check import InputsCheck
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.messages import MemoryWord

__all__ = ["StudyRun"]

_log = logging.getLogger(__name__)


class StudyRun:
    """One run of an opened study. All decisions happen on one event loop, so that they have one order."""

    def __init__(self, study: OpenedStudy, inputs: InputsCheck, assigner: Assigner, *, always_trains: bool = False):
        """Nothing of the study changes before `run`.

        Args:
            study: what is run.
            inputs: admits trainers by their data and code.
            assigner: gives them work.
            always_trains: time counts even where there is no trainer, because others train.
        """
        self.study = study
        self.inputs = inputs
        self.assigner = assigner
        self._search = study.search
        self._heartbeat = Heartbeat(study, assigner.pool, assigner.time_use, always_trains=always_trains)

    async def run(self, trainers: Mapping[str, TrainerHandle]) -> StudyOutcome | RunRefused:
        """Run the study to its end, or until it is stopped; then give it back."""
        study = self.study
        tasks = [asyncio.create_task(study.journal.write_batches())]
        try:
            if not await self.inputs.all_pass(trainers):
                return await self._refused()
            self._heartbeat.begin()
            await study.take_up()
            study.signals.taken_up.set()
            tasks.append(asyncio.create_task(self._heartbeat.beat()))
            if self._search.history.ended is None:
                await study.note_environment()
            for name, trainer in trainers.items():
                await self.join(name, trainer)
            await self.until_done()
            while (outcome := await self._conclude()) is None:
                await self.until_done()
            return outcome
        except BandstandError as error:
            return StudyOutcome(state="failed", reason=str(error))
        finally:
            for task in tasks:
                task.cancel()
            self.assigner.cancel()
            await study.close()

    async def join(self, name: str, trainer: TrainerHandle) -> None:
        """Give work to this trainer from now on, if its data and code are the study's; it must be prepared for it."""
        self.assigner.time_use.turn()
        if await self.inputs.admits(name, trainer):
            self.assigner.join(name, trainer)

    # -- what trainers tell -------------------------------------------------------------------------------------------

    async def report(self, trial: int, attempt: int, measurements: Sequence[Measurement]) -> Verdict | None:
        """Epochs have ended; the answer to the last is durable when it is given.

        Returns:
            None where the attempt is no longer the trial's.
        """
        verdict = None
        self.assigner.silence.heard(trial)
        try:
            for measurement in measurements:
                with self.assigner.time_use.deciding():
                    verdict = self._search.report(trial, attempt, measurement)
        except StaleAttemptError as error:
            _log.warning("%s", error, extra={"trial": trial})
            return None
        await self.assigner.time_use.storing(self.study.journal.durable())
        return verdict

    async def checkpointed(self, trial: int, attempt: int, epoch: int, uri: str, error: str | None) -> None:
        """A checkpoint is durable; `error` says why it is not."""
        wanted = False
        try:
            if error is not None:
                self._search.note(f"a checkpoint of trial {trial} could not be written: {error}")
            else:
                self._search.checkpointed(trial, attempt, epoch, uri)
                wanted = self._search.history.trials[trial].checkpoint_epoch == epoch
        except StaleAttemptError as stale:
            _log.warning("%s", stale, extra={"trial": trial})
        else:
            self.study.pauses.written(trial, attempt, epoch, error)
        await self.study.journal.durable()
        self.study.signals.wake()
        if not wanted and error is None:
            await asyncio.to_thread(stored_files.try_to_delete, uri)

    def memory_is_short(self, trial: int, attempt: int, word: MemoryWord) -> None:
        """The process of a trial is near the end of its memory; word of an older attempt is ignored."""
        if self._search.history.trials[trial].attempt == attempt:
            self.assigner.memory.heard(trial, word)

    # -- its end ------------------------------------------------------------------------------------------------------

    async def until_done(self) -> None:
        """Wait until nothing is left to train.

        Raises:
            BandstandError: the study cannot go on.
        """
        while not (self._search.done and not self.assigner.pool.busy):
            self.raise_failure()
            self.assigner.call_back()
            self.assigner.end_silent()
            await self.study.signals.change()

    def raise_failure(self) -> None:
        """Raise what makes the study fail, if anything does."""
        failure = self.study.signals.failure or self.study.journal.failure
        if failure:
            raise failure

    async def _conclude(self) -> StudyOutcome | RunRefused | None:
        """What came of the study; None where a user has asked for more meanwhile, so that it goes on."""
        self._heartbeat.takes_requests = False
        await self.study.limit.rest()
        self._heartbeat.account()
        ended = self._search.conclude()
        await self.study.journal.durable()
        outcome = await (self._stopped() if ended is None else self._ended(ended))
        if outcome is None:
            self._heartbeat.takes_requests = True
        if isinstance(outcome, StudyOutcome):
            await self.study.journal.bring_optuna_up_to_date()
        return outcome

    async def _stopped(self) -> StudyOutcome | RunRefused:
        await ChosenModel(self.study).keep(self.assigner.pool.trainers.values())
        await self.study.sweep.end(self.assigner.pool.trainers.values())
        if self.inputs.refusal is not None:
            return await self._refused()
        await self.study.set_columns(state="stopped")
        return StudyOutcome(state="stopped", reason=self.study.stop_reason)

    async def _ended(self, ended: StudyEnded) -> StudyOutcome | None:
        study = self.study
        if not ended.failed:
            await ChosenModel(study).settle(self.assigner.pool.trainers.values())
            await study.journal.forget_checkpoints()  # a failed one may be run again, from where its trials stand
        # Before the study is marked as finished: one that is killed here is taken up again, and comes to this again.
        await study.sweep.end(self.assigner.pool.trainers.values())
        outcome = StudyOutcome(state="failed" if ended.failed else "finished", reason=ended.reason)
        await study.set_columns(state=outcome.state, reason=outcome.reason)
        if not ended.failed:
            await study.requests.take()
            if self._search.history.ended is None and not study.signals.stop_requested:
                await study.set_columns(state="running", ended_at=None)
                return None
        return outcome

    async def _refused(self) -> RunRefused:
        """What is answered of a study that stops because a trainer has other data or code; it can be taken up again."""
        assert self.inputs.refusal is not None
        row = await self.study.columns()
        if row.state in ("queued", "running"):
            await self.study.set_columns(state="stopped", reason=self.inputs.refusal)
        return RunRefused.because_of(InputError(self.inputs.refusal))
