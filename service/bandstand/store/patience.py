"""Waiting for a database that is away for a while, as when it is restarted.

Knows how long it pays to wait. Must not know what is asked of the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bandstand.errors import DatabaseUnreachableError

__all__ = ["AWAY_SECONDS", "patiently"]

AWAY_SECONDS = 300.0
"""How long the database may be away before a study gives up: a restart takes seconds, a new machine minutes."""
_PAUSE_SECONDS = 1.0
T = TypeVar("T")


def patiently(work: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """What `work` returns, which is tried again while the database is away.

    Raises:
        DatabaseUnreachableError: it stays away.
    """
    for _ in range(round(AWAY_SECONDS / _PAUSE_SECONDS)):
        try:
            return work()
        except DatabaseUnreachableError:
            sleep(_PAUSE_SECONDS)
    return work()
