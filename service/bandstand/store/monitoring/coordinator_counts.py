"""What the coordinator of a running study counts, for monitoring.

Knows the counts and where they stand. Must not know who counts them.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables

__all__ = ["CoordinatorCounts", "CoordinatorStatus", "read_coordinator_status"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CoordinatorCounts:
    """Counted since this coordinator began; all but the first two only ever grow."""

    trainers: int = 0  # now
    busy: int = 0  # of those: have an assignment
    trainer_seconds: float = 0.0  # time of all trainers, added up
    idle_seconds: float = 0.0  # of that: without an assignment
    decisions: int = 0  # assignments looked for, and reports answered
    decision_seconds: float = 0.0  # time of deciding alone
    stores: int = 0  # decisions that were made durable before anyone heard of them
    store_seconds: float = 0.0  # waiting for that, added up over all who waited


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CoordinatorStatus:
    """What is known of a study's coordinator."""

    holder: str  # user@host, process
    acquired_at: datetime  # when it took the study
    heartbeat_at: datetime  # when it wrote these
    counts: CoordinatorCounts


def read_coordinator_status(connection: Connection, study_id: int) -> CoordinatorStatus | None:
    """None where no coordinator has the study, or has not written any counts yet; a killed one's stay."""
    row = connection.execute(sa.select(tables.lease).where(tables.lease.c.study_id == study_id)).one_or_none()
    if row is None or row.pulse is None:
        return None
    return CoordinatorStatus(
        holder=row.holder,
        acquired_at=row.acquired_at,
        heartbeat_at=row.heartbeat_at,
        counts=CoordinatorCounts(**row.pulse),
    )
