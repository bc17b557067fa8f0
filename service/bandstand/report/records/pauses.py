"""When a study was paused: nobody ran it, or it had no trainer.

Knows a record's times. Must not know what trainers did in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandstand.store.records import StudyRecord

__all__ = ["clock_seconds", "cut_out", "find_pauses"]

Array = NDArray[np.float64]

LEAST_SECONDS = 10.0
"""Time is booked about as often, so shorter pauses cannot be told from the time between two bookings."""


def find_pauses(record: StudyRecord) -> Array:
    """Array [pauses, 2]: from when to when, in seconds since 1970, ascending; between runs only.

    A killed run has not booked its last seconds; what it trained and began in them counts as run.
    """
    if not record.runs:
        return np.empty((0, 2))
    booked = np.array([[began.timestamp(), ended.timestamp()] for began, ended in record.runs])
    measured = clock_seconds(record.measurements["created_at"])
    seconds = pd.to_numeric(record.measurements["seconds"], errors="coerce").fillna(0.0).to_numpy(dtype=float)
    started = clock_seconds(record.attempts["started_at"])
    known = np.vstack([booked, np.column_stack([measured - seconds, measured]), np.column_stack([started, started])])
    known = known[np.isfinite(known).all(axis=1)]
    known = known[known[:, 0].argsort(kind="stable")]
    until = np.maximum.accumulate(known[:, 1])
    gaps = np.column_stack([until[:-1], known[1:, 0]])
    long: Array = gaps[gaps[:, 1] - gaps[:, 0] > LEAST_SECONDS]
    return long


def clock_seconds(times: pd.Series[Any]) -> Array:
    """Seconds since 1970; NaN where there is no time."""
    read = pd.to_datetime(times, utc=True)
    return np.asarray((read - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=float)


def cut_out(times: Array, pauses: Array) -> Array:
    """`times` on a clock that stands still during the pauses, which are [pauses, 2] and do not overlap."""
    running = times.copy()
    for began, ended in pauses:
        running -= np.clip(times, began, ended) - began
    return running
