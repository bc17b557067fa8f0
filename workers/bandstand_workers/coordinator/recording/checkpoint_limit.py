"""How much room checkpoints and models may take, and what happens before a disk is full.

Knows the limit, the disk, and what gives way. Must not know when it is asked. The order in which things give way: files
that nobody needs; checkpoints of trials that have ended, the worst first; then the study, which pauses. What a paused
trial goes on from and the study's model never give way.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable

from bandstand import stored_files, stray_files
from bandstand.errors import BandstandError, one_line
from bandstand.search.search import Search
from bandstand_workers.coordinator.recording.folder_sweep import FolderSweep
from bandstand_workers.coordinator.recording.journal import Journal

__all__ = ["CheckpointLimit"]

_LOOK_SECONDS = 30.0
"""Between two looks. One takes a request for each study's folder in a bucket."""
_TOLD_AT = 0.8
_LITTLE_BYTES = 2 * 10**9
"""Free space of a disk below which users are told."""
_log = logging.getLogger(__name__)


class CheckpointLimit:
    """Looked at by one study for all studies of its place."""

    def __init__(
        self,
        search: Search,
        journal: Journal,
        sweep: FolderSweep,
        checkpoints_uri: str,
        limit: int | None,
        used: Callable[[str], int] = stray_files.bytes_below,
    ):
        """Nothing is looked at yet.

        Args:
            search: of the study.
            journal: of the study.
            sweep: removes the study's files that nobody needs.
            checkpoints_uri: where all studies' files are.
            limit: of the bytes that they may take together; None for no limit.
            used: how many they take.
        """
        self._search = search
        self._journal = journal
        self._sweep = sweep
        self._place = checkpoints_uri
        self._limit = limit
        self._used = used
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def rest(self) -> None:
        """Wait for the end of a look that is under way."""
        async with self._looking:
            pass

    async def look(self) -> str | None:
        """Look, unless that was done a moment ago; returns why the study has to pause, None if it may go on."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return None
        try:
            async with self._looking:
                await self._look_at_disk()
                return None if self._limit is None else await self._keep(self._limit)
        except Exception as error:  # of whatever file system it is
            if isinstance(error, BandstandError):  # the study's, such as a lost lease
                raise
            _log.warning("the size of %s is not known: %s", self._place, one_line(error))
            return None
        finally:
            self._looked_at = time.monotonic()

    async def _look_at_disk(self) -> None:
        local = stored_files.local_path(self._place)
        if local is None or not local.is_dir():
            return
        free = (await asyncio.to_thread(shutil.disk_usage, local)).free
        if free < _LITTLE_BYTES:
            self._search.note(
                f"the disk of {local} is nearly full, with less than {_LITTLE_BYTES / 1e9:.0f} GB left; "
                "`bandstand clean` removes what no study needs"
            )

    async def _keep(self, limit: int) -> str | None:
        used = await asyncio.to_thread(self._used, self._place)
        if used >= limit:
            await self._sweep.during()
            used = await asyncio.to_thread(self._used, self._place)
        while used >= limit:
            trial = self._search.models.give_up_checkpoint("checkpoints may take no more room")
            if trial is None:
                break
            self._search.note(
                f"checkpoints take all of {limit / 1e9:g} GB (BANDSTAND_CHECKPOINTS_GB), so those of trials that have "
                "ended are removed, the worst first; no trial can continue from them any more"
            )
            await self._journal.durable()
            await self._journal.call(lambda: None)  # their files go in this thread, and are gone now
            used = await asyncio.to_thread(self._used, self._place)
        if used >= limit:
            return (
                f"checkpoints and models below {self._place} take {used / 1e9:.2f} GB, and may take {limit / 1e9:g} GB "
                "(BANDSTAND_CHECKPOINTS_GB): make room with `bandstand clean` or by deleting studies, or raise the "
                "limit, and run the same command again"
            )
        if used >= _TOLD_AT * limit:
            self._search.note(
                f"checkpoints and models take more than {_TOLD_AT:.0%} of the {limit / 1e9:g} GB that they may take "
                "(BANDSTAND_CHECKPOINTS_GB); at the limit this study pauses"
            )
        return None
