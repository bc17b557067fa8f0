"""Counts of a database: how much there is of everything, for monitoring.

Knows the tables. Must not know who counts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.store.monitoring.coordinator_counts import CoordinatorCounts
from bandstand.store.reading.study_list import STATES, shown_state
from bandstand.study.states import RunState, SubmissionState
from bandstand.trials.events import TrialState

__all__ = ["DatabaseCounts", "read_database_counts"]


@dataclass(frozen=True, kw_only=True)
class DatabaseCounts:
    """How much there is; every state is there, with 0 where nothing is in it."""

    studies: Mapping[str, int]  # by state, as shown
    trials: Mapping[str, int]
    submissions: Mapping[str, int]
    runs: Mapping[str, int]
    oldest_seconds: float  # since what has waited longest was queued; 0 if nothing waits
    epochs: int  # trained, by all studies there are
    coordinators: Mapping[str, CoordinatorCounts]  # of studies that run, by name


def read_database_counts(connection: Connection) -> DatabaseCounts:
    """Six queries, however much there is."""
    trial, submission = tables.trial, tables.submission
    studies = _counted(connection, shown_state().label("state"), tables.study)
    trained = sa.func.sum(trial.c.epochs - trial.c.from_epoch)
    trials = connection.execute(sa.select(trial.c.state, sa.func.count(), trained).group_by(trial.c.state)).all()
    waited = sa.func.extract("epoch", sa.func.clock_timestamp() - sa.func.min(submission.c.queued_at))
    oldest = connection.execute(sa.select(waited).where(submission.c.state == SubmissionState.QUEUED)).scalar()
    return DatabaseCounts(
        studies=dict.fromkeys(STATES, 0) | studies,
        trials=dict.fromkeys(map(str, TrialState), 0) | {state: count for state, count, _ in trials},
        submissions=dict.fromkeys(map(str, SubmissionState), 0) | _counted(connection, submission.c.state, submission),
        runs=dict.fromkeys(map(str, RunState), 0) | _counted(connection, tables.run.c.state, tables.run),
        oldest_seconds=float(oldest or 0.0),
        epochs=int(sum(epochs or 0 for _, _, epochs in trials)),
        coordinators=_coordinators(connection),
    )


def _counted(connection: Connection, state: sa.ColumnElement[str], table: sa.Table) -> dict[str, int]:
    rows = connection.execute(sa.select(state, sa.func.count()).select_from(table).group_by(state))
    return {str(state): int(count) for state, count in rows}


def _coordinators(connection: Connection) -> dict[str, CoordinatorCounts]:
    lease, study = tables.lease, tables.study
    query = sa.select(study.c.name, lease.c.pulse).join(lease, lease.c.study_id == study.c.id)
    rows = connection.execute(query.where(lease.c.pulse.is_not(None), shown_state() == "running"))
    return {row.name: CoordinatorCounts(**row.pulse) for row in rows}
