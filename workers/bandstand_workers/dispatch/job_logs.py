"""What jobs print, read as it comes.

Ray offers the whole log, or a stream of it from the beginning. One stream per job, read in a thread of their own, costs
what is new; a stream that breaks is taken up again, and what was read before is skipped. Must not know the database:
a position in a log is the number of characters before it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection

from bandstand_workers.dispatch.local_logs import ReplacedLogError

__all__ = ["JobLogs"]

_MAX_HELD = 1_000_000
"""Characters read ahead of who takes them, per job; then the stream waits."""
_log = logging.getLogger(__name__)

Tail = Callable[[str], AsyncIterator[str]]


class JobLogs:
    """The logs of several jobs."""

    def __init__(self, tail: Tail):
        """`tail` gives a job's log in pieces from its beginning, and ends when the job has."""
        self._tail = tail
        self._streams: dict[str, _Stream] = {}
        self._replaced: set[str] = set()  # runs whose log is no longer there, which is told once
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def follow(self, run: str, position: int) -> None:
        """Read a job's log from this position on; one that is being read already is not begun again."""
        stream = self._streams.get(run)
        if stream is None or stream.is_over or position < stream.position:
            self.leave(run)
            self._streams[run] = _Stream(self._tail, run, position, self._loop, self._replaced)

    def text_from(self, run: str, position: int) -> str:
        """What has been read from this position on; nothing before it will be asked for again."""
        stream = self._streams.get(run)
        return "" if stream is None else stream.text_from(position)

    def is_over(self, run: str) -> bool:
        """Whether the stream has ended, by itself or because it broke."""
        return run not in self._streams or self._streams[run].is_over

    def leave(self, run: str) -> None:
        """Read it no longer."""
        stream = self._streams.pop(run, None)
        if stream is not None:
            stream.cancel()

    def leave_all_but(self, runs: Collection[str]) -> None:
        """Read only the logs of these jobs."""
        for run in set(self._streams) - set(runs):
            self.leave(run)


class _Stream:
    """One reading of one log."""

    def __init__(self, tail: Tail, run: str, position: int, loop: asyncio.AbstractEventLoop, replaced: set[str]):
        self.position = position
        """Of the first character that is held."""
        self._tail = tail
        self._run = run
        self._replaced = replaced
        self._held = ""
        self._changing = threading.Lock()
        self._task = asyncio.run_coroutine_threadsafe(self._read(position), loop)

    @property
    def is_over(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        self._task.cancel()

    def text_from(self, position: int) -> str:
        with self._changing:
            known = min(max(0, position - self.position), len(self._held))
            self._held = self._held[known:]
            self.position += known
            return self._held

    async def _read(self, skip: int) -> None:
        try:
            async for piece in self._tail(self._run):
                skipped = min(skip, len(piece))
                skip -= skipped
                with self._changing:
                    self._held += piece[skipped:]
                while len(self._held) > _MAX_HELD:
                    await asyncio.sleep(0.2)
        except ReplacedLogError as error:
            if self._run not in self._replaced:
                self._replaced.add(self._run)
                _log.warning("%s", error)
        except Exception as error:  # noqa: BLE001  # of any of the parts between here and the file
            _log.debug("the log of %s breaks off: %s", self._run, error)
