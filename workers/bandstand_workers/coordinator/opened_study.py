"""A study that this process has opened: what Search decides of it, and where that is stored.

Knows Search, the store's writer and the journal. Must not know trainers, nor when a study ends.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from functools import partial
from typing import Any

import ray

from bandstand import stored_files
from bandstand.locations import checkpoints_limit
from bandstand.search.protocol import Assignment
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from bandstand.study.study_spec import StudySpec
from bandstand.trials.code_fingerprint import CodePrint
from bandstand.trials.data_fingerprint import describe_print
from bandstand_workers.coordinator.environment import describe_environment
from bandstand_workers.coordinator.recording.checkpoint_limit import CheckpointLimit
from bandstand_workers.coordinator.recording.folder_sweep import FolderSweep
from bandstand_workers.coordinator.recording.journal import Journal
from bandstand_workers.coordinator.recording.outcomes import Outcomes
from bandstand_workers.coordinator.recording.pauses import Pauses
from bandstand_workers.coordinator.recording.user_requests import UserRequests
from bandstand_workers.coordinator.signals import Signals

__all__ = ["OpenedStudy"]


class OpenedStudy:
    """One study, of which this process is the only writer until `close`."""

    def __init__(
        self,
        spec: StudySpec,
        search: Search,
        writer: StudyWriter,
        journal: Journal,
        signals: Signals,
        folder: str,
        limit: int | None = None,
    ):
        """Use `open`."""
        self.spec = spec
        self.search = search
        self.writer = writer
        self.journal = journal
        self.signals = signals
        self.pauses = Pauses(search)
        self.outcomes = Outcomes(search, writer, journal, self.pauses)
        self.requests = UserRequests(search, writer, journal)
        self.sweep = FolderSweep(search, writer, journal)
        self.limit = CheckpointLimit(search, journal, self.sweep, folder.rpartition("/")[0], limit)
        self.stop_reason = "it was stopped before its budget was used"
        self._folder = folder

    @classmethod
    async def open(
        cls, store: Store, spec: StudySpec, signals: Signals, checkpoints_uri: str, code: CodePrint | None = None
    ) -> OpenedStudy:
        """Claim a study, and stand where what is stored of it leads to.

        Args:
            store: the database.
            spec: the study, which is made where it is not there.
            signals: are given when something changes.
            checkpoints_uri: folder under which checkpoints and models go.
            code: that trains from now on; None where nothing is known of it.

        Raises:
            BandstandError: it cannot be claimed, say because another process has it.
        """
        holder = f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
        writer = await asyncio.to_thread(store.claim, spec, holder)
        stored = await asyncio.to_thread(store.spec, spec.name)
        spec = spec.model_copy(update={"avoid_failures": stored.avoid_failures})  # a study goes on as it began
        search = await asyncio.to_thread(writer.replay, partial(Search.restore, spec))
        replayed = await asyncio.to_thread(store.replayed_data, spec.name)
        if replayed is not None and search.history.data is None:
            search.data.see(replayed)
        # Of a study that has trained, its events tell the code.
        former = None if search.history.ledger.epochs else await asyncio.to_thread(store.trained_code, spec)
        folder = await asyncio.to_thread(writer.take_folder, checkpoints_uri)
        study = cls(spec, search, writer, Journal(search, writer, signals.wake), signals, folder, checkpoints_limit())
        await asyncio.to_thread(writer.catch_up_mirror, search.history)
        if not writer.last_event:
            search.begin()
        if code is not None:
            search.code.take(code, None if former is None else former.code)
        return study

    async def take_up(self) -> None:
        """Let the study go on from where it stands."""
        history = self.search.history
        await self.sweep.begin()
        if history.ended is not None and history.ended.failed:
            self.search.reopen()  # whoever runs it again has mended something
        for trial in history.trials:
            self.search.lost(trial.number, trial.attempt, "the coordinator ended", blamed=False)
        await self.requests.take()
        if history.ended is None:
            await self.set_columns(state="running", reason="", ended_at=None)
        if self.signals.stop_requested:
            self.search.stop()

    def stop(self, reason: str | None = None) -> None:
        """Pause what is under way, then end; the study can be taken up again. `reason` if no user wanted it."""
        if reason is not None:
            self.stop_reason = reason
            self.search.note(reason)
        self.signals.stop_requested = True
        self.search.stop()
        self.signals.wake()

    async def close(self) -> None:
        """Give the study back."""
        await self.journal.close()

    # -- what is stored of it -----------------------------------------------------------------------------------------

    async def columns(self) -> Any:
        """The study's row, as `StudyWriter.study_columns`."""
        return await self.journal.call(self.writer.study_columns)

    async def set_columns(self, **columns: Any) -> None:
        """Set columns of the study's row, as `StudyWriter.set_study`."""
        await self.journal.call(partial(self.writer.set_study, **columns))

    async def note_environment(self) -> None:
        """Store what trains in this run, and on which data."""
        data = self.search.history.data
        environment = describe_environment(ray.cluster_resources()) | (describe_print(data) if data else {})
        await self.set_columns(environment=environment)

    def folder_of(self, trial: int) -> str:
        """Where a trial's files go."""
        return stored_files.trial_place(self._folder, trial)

    async def resume_uri(self, assignment: Assignment) -> str | None:
        """Where the checkpoint is that an assignment begins from; None where it begins with none, or none is left."""
        if assignment.checkpoint_of is None:
            return None
        source = assignment.checkpoint_of, assignment.from_epoch
        uri: str | None = await self.journal.call(partial(self.writer.checkpoint_uri, *source))
        return uri
