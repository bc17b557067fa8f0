"""Changes of a submission's row and of the rows of its studies, for all who make them.

Knows the rows. Must not know who changes them, nor why.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.study.states import StudyState, SubmissionOutcome, SubmissionState

__all__ = ["CLOSED", "end_submission", "members_of", "notify", "set_submission"]

CLOSED = tuple(state for state in StudyState if state.has_ended)
"""States of studies that a stop leaves as they are."""


def notify(connection: Connection) -> None:
    """Wake whoever waits for the queue to change, once this transaction is committed."""
    connection.execute(sa.select(sa.func.pg_notify(tables.QUEUE_CHANNEL, "")))


def end_submission(
    connection: Connection, submission: int, outcome: SubmissionOutcome, message: str | None = None
) -> None:
    """End a submission; its studies that have not ended are stopped, or failed with it.

    Args:
        connection: in a transaction.
        submission: its id.
        outcome: how it has ended.
        message: why, where that is not plain.
    """
    now = sa.func.clock_timestamp()
    set_submission(
        connection, submission, state=SubmissionState.ENDED, outcome=outcome, message=message or "", ended_at=now
    )
    failed = outcome is SubmissionOutcome.FAILED
    state, reason = (StudyState.FAILED, message or "") if failed else (StudyState.STOPPED, "")
    ended = sa.update(tables.study).where(tables.study.c.id.in_(members_of(submission)))
    ended = ended.where(tables.study.c.state.not_in(CLOSED))
    connection.execute(ended.values(state=state, reason=reason, ended_at=now))


def members_of(submission: int) -> sa.Select[tuple[int]]:
    """The ids of a submission's studies, as a query."""
    member = tables.submission_study
    return sa.select(member.c.study_id).where(member.c.submission_id == submission)


def set_submission(connection: Connection, submission: int, **columns: object) -> None:
    """Set columns of a submission's row."""
    changed = sa.update(tables.submission).where(tables.submission.c.id == submission)
    connection.execute(changed.values(**columns, updated_at=sa.func.clock_timestamp()))
