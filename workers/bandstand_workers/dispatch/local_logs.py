"""The logs of jobs of a local Ray, read from its folder as files that nobody has put a link in the place of.

Knows where Ray keeps them. Must not know what is done with them. Ray's own reader follows links: a job that puts one
in its log's place would show its user any file that the server may read.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

__all__ = ["ReplacedLogError", "tail_log"]

_NAME = "job-driver-{run}.log"
_PIECE_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.5


class ReplacedLogError(Exception):
    """What lies in the place of a log is no file of this user alone, such as a link."""


async def tail_log(session: Path, run: str, has_ended: Callable[[], bool]) -> AsyncIterator[str]:
    """What a job has printed and will print, in pieces, from the beginning, until it has ended.

    Args:
        session: folder of Ray's session.
        run: id of the job.
        has_ended: whether it has; asked in a thread.

    Raises:
        ReplacedLogError: something else lies in the log's place.
    """
    ended = False
    while (file := _opened(session, run)) is None:
        if ended:
            return
        ended = await asyncio.to_thread(has_ended)
        await asyncio.sleep(_PAUSE_SECONDS)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    try:
        while True:
            if piece := os.read(file, _PIECE_BYTES):
                yield decode(piece)
            elif ended:
                return
            else:
                ended = await asyncio.to_thread(has_ended)
                await asyncio.sleep(0 if ended else _PAUSE_SECONDS)
    finally:
        os.close(file)


def _opened(session: Path, run: str) -> int | None:
    """A descriptor of the log; None if there is none yet."""
    name = _NAME.format(run=run)
    try:
        folder = os.open(session / "logs", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _replaced(run, error) from None
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _replaced(run, error) from None
    finally:
        os.close(folder)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        os.close(file)
        raise _replaced(run, "it is not a plain file of the server's user, with one name")
    return file


def _replaced(run: str, why: object) -> ReplacedLogError:
    return ReplacedLogError(f"the log of job {run} must be the file that Ray made; something else lies there: {why}")
