"""How assignments ended: what a trainer tells of one becomes events, and the best trial's model is kept.

Knows Search and the study's writer. Must not know trainers, nor what is trained next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from bandstand import stored_files
from bandstand.search.protocol import Assignment, StaleAttemptError
from bandstand.search.search import Search
from bandstand.store.study_writer import StudyWriter
from bandstand.trials.events import Action, TrialState
from bandstand_workers.coordinator.recording.journal import Journal
from bandstand_workers.coordinator.recording.pauses import Pauses
from bandstand_workers.messages import Outcome

__all__ = ["Outcomes"]

_log = logging.getLogger(__name__)


class Outcomes:
    """Takes the outcomes of one study, one at a time, so that the model kept is the best trial's."""

    def __init__(self, search: Search, writer: StudyWriter, journal: Journal, pauses: Pauses):
        self._search = search
        self._writer = writer
        self._journal = journal
        self._pauses = pauses
        self._taking = asyncio.Lock()
        self._reasons_for_fit: set[str] = set()
        self._defaulted: set[str] = set()
        self._unkept: set[str] = set()
        self._refusals: set[str] = set()

    async def take(self, trainer: str, trial: int, attempt: int, outcome: Outcome | None) -> None:
        """Record an outcome; durable when this returns, save for a pause whose checkpoint is still being written.

        Args:
            trainer: its name.
            trial: what it trained.
            attempt: by which it did.
            outcome: what came of it; None where the trainer found that nobody wants it. One of an attempt that is no
                longer the trial's changes nothing.
        """
        async with self._taking:
            try:
                if outcome is not None:
                    await self._record(trainer, trial, attempt, outcome)
            except StaleAttemptError as error:
                _log.warning("%s", error, extra={"trial": trial})
                return
        await self._journal.durable()

    def refuse_forgotten(self, assignment: Assignment) -> None:
        """An assignment cannot be trained: the checkpoint that it begins from has been removed."""
        reason = (
            f"a checkpoint must be there; that of trial {assignment.checkpoint_of} at epoch {assignment.from_epoch} "
            "was removed because no trial seemed to need it"
        )
        self._refuse(assignment.trial, assignment.attempt, reason, "forgotten")

    async def _record(self, trainer: str, trial: int, attempt: int, outcome: Outcome) -> None:
        self._note(trial, outcome)
        refusal, failure = outcome.refusal, outcome.failure
        if refusal is not None:
            self._refuse(trial, attempt, refusal.reason, refusal.cause)
        elif failure is not None:
            async with self._model_kept(trial, attempt, TrialState.FAILED, outcome):
                self._search.fail(
                    trial, attempt, failure.kind, failure.message, signature=failure.cause, detail=failure.detail
                )
        elif outcome.action is Action.PAUSE:
            self._pauses.wanted(trainer, trial, attempt, outcome.paused_at)
        else:
            found = self._search.history.trials[trial]
            # One that ends by itself, at a deadline, was told nothing.
            state = found.ends_as if found.action is Action.STOP else TrialState.COMPLETE
            async with self._model_kept(trial, attempt, state, outcome):
                if outcome.end_uri is not None:
                    self._search.checkpointed(trial, attempt, found.epochs, outcome.end_uri)
                self._search.finish(trial, attempt, "budget")

    def _note(self, trial: int, outcome: Outcome) -> None:
        """Say once for the study what holds for many of its trials."""
        if outcome.reason_for_fit is not None and outcome.reason_for_fit not in self._reasons_for_fit:
            self._reasons_for_fit.add(outcome.reason_for_fit)
            self._search.note(f"trial {trial} was the first to be trained by fit, because {outcome.reason_for_fit}")
        for setting in outcome.defaulted:
            if setting not in self._defaulted:
                self._defaulted.add(setting)
                self._search.note(f"the builder uses its default {setting}, because the space does not contain it")
        for note in outcome.notes:
            self._search.note(note)
        for attribute in outcome.unkept:
            if attribute not in self._unkept:
                self._unkept.add(attribute)
                self._search.note(
                    f"checkpoints cannot store {attribute}, because it is not plain data. When a trial is resumed, "
                    f"{attribute.split('.')[0]} starts anew"
                )

    def _refuse(self, trial: int, attempt: int, reason: str, cause: str) -> None:
        """Do without a checkpoint that cannot be used; said once for all that cannot be for the same reason."""
        follows = self._search.refuse_checkpoint(trial, attempt, reason)
        if cause not in self._refusals:
            self._refusals.add(cause)
            self._search.note(f"{reason}; {follows}")

    @asynccontextmanager
    async def _model_kept(self, trial: int, attempt: int, state: TrialState, outcome: Outcome) -> AsyncIterator[None]:
        """Around the end of a trial, in this state: its model is stored before it, the file not needed then removed.

        A model is kept where it is of the epoch that makes its trial the best of those that have ended.
        """
        history, superfluous = self._search.history, outcome.model_uri
        found = history.trials[trial]
        if (
            outcome.model_uri is not None
            and (found.attempt, found.state) == (attempt, TrialState.RUNNING)
            and outcome.model_epoch == history.result_epoch(found)
            and history.would_be_best(found, state)
        ):
            study: Any = await self._journal.call(self._writer.study_columns)
            columns = {"model_uri": outcome.model_uri, "model_trial": trial, "model_epoch": outcome.model_epoch}
            await self._journal.call(partial(self._writer.set_study, **columns))
            superfluous = None if study.model_uri == outcome.model_uri else study.model_uri
        try:
            yield
        finally:
            if superfluous is not None:
                await self._journal.durable()
                await asyncio.to_thread(stored_files.try_to_delete, superfluous)
