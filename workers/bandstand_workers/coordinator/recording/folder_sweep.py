"""The study's folders hold what the database names: looked through when a study is taken up and when it ends.

Knows what the database names and which trials still train. Must not know why a file is there that it does not name: a
process was killed between row and file, or while it wrote.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable

from bandstand import stored_files, stray_files
from bandstand.errors import one_line
from bandstand.search.search import Search
from bandstand.store.study_writer import StudyWriter
from bandstand_workers.coordinator.recording.journal import Journal
from bandstand_workers.fleet.handles import TrainerHandle

__all__ = ["FolderSweep"]

_WRITING_SECONDS = 20.0
"""How long trainers may take at the end to write checkpoints that they have begun."""
_log = logging.getLogger(__name__)


class FolderSweep:
    """Of one study, whose lease this process holds. So no trainer of another process can have anything named."""

    def __init__(self, search: Search, writer: StudyWriter, journal: Journal):
        """Nothing is looked at before `begin` or `end`."""
        self._search = search
        self._writer = writer
        self._journal = journal

    async def begin(self) -> None:
        """Remove what earlier runs left. Nothing trains yet: what trainers of theirs still write is named by nobody."""
        await self._sweep(())

    async def end(self, trainers: Iterable[TrainerHandle]) -> None:
        """Remove what this run has left, once its trainers write nothing more."""
        writing = [asyncio.ensure_future(trainer.wait_for_checkpoints.remote()) for trainer in trainers]
        if writing:
            await asyncio.wait(writing, timeout=_WRITING_SECONDS)  # whoever hangs or is dead writes nothing
            for one in writing:
                one.cancel()
                one.add_done_callback(_take_note)
        await self.during()

    async def during(self) -> None:
        """Remove what nobody needs while trials train. What these have written may be on its way to the database.

        Not while the study's end is settled, which makes models that the database names last.
        """
        await self._journal.durable()
        await self._sweep(
            [(trial.number, trial.attempt) for trial in self._search.history.trials if not trial.state.is_final]
        )

    async def _sweep(self, may_be_named: Collection[tuple[int, int]]) -> None:
        folders, named = await self._journal.call(self._writer.folders)
        combined = self._search.history.combined
        if combined is not None and combined.taken and combined.uri is not None:
            named.append(combined.uri)  # it becomes the study's model in a moment
        for folder in folders:
            if not stored_files.is_tagged(folder):
                continue  # a study of another database may use it, too
            try:
                await asyncio.to_thread(stray_files.remove_strays, folder, frozenset(named), may_be_named)
            except Exception as error:  # noqa: BLE001  # of whatever file system it is
                _log.warning("the study's folder cannot be looked through", exc_info=error)
                self._search.note(
                    f"{folder} cannot be looked through ({one_line(error)}), so files that no trial needs may stay "
                    "there; `bandstand clean` removes them"
                )


def _take_note(future: asyncio.Future[None]) -> None:
    """Whether a trainer has died meanwhile is of no importance; unread, its error would be logged."""
    if not future.cancelled():
        future.exception()
