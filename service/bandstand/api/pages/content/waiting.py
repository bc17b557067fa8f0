"""What waits in the queue, and why.

Knows the queue and the servers that serve it. Must not know how a page looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from bandstand.api.pages.words import duration
from bandstand.report.text import counted
from bandstand.store import tables
from bandstand.store.store import Store
from bandstand.submissions import Submission, SubmissionQueue
from bandstand.submissions.server_queue import HAS_RUN, SERVER_IS_GONE_SECONDS

__all__ = ["Waiting", "read_waiting"]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A submission that waits."""

    submission: Submission
    place: int
    """Among all that wait, from 1."""
    why: str


def read_waiting(store: Store) -> Sequence[Waiting]:
    """All that waits, the next one first."""
    waiting = SubmissionQueue(store).waiting()
    if not waiting:
        return []
    alive, active = _servers_and_active(store)
    return [
        Waiting(submission=one, place=place, why=_why(one, place, alive, active.get(one.submitter, 0)))
        for place, one in enumerate(waiting, 1)
    ]


def _servers_and_active(store: Store) -> tuple[int, dict[str, int]]:
    """How many servers dispatch, and how many submissions of each user run."""
    server, submission = tables.server, tables.submission
    since = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, SERVER_IS_GONE_SECONDS)
    servers = sa.select(sa.func.count()).where(server.c.heartbeat_at > since)
    runs = (
        sa.select(submission.c.submitter, sa.func.count().label("runs"))
        .where(submission.c.state.in_(HAS_RUN))
        .group_by(submission.c.submitter)
    )
    with store.database.reading() as connection:
        alive = int(connection.execute(servers).scalar_one())
        return alive, {row.submitter: row.runs for row in connection.execute(runs)}


def _why(submission: Submission, place: int, alive: int, active: int) -> str:
    if not alive:
        return "no server starts jobs now: start one with `bandstand serve`"
    if submission.not_before is not None and submission.not_before > datetime.now(UTC):
        left = (submission.not_before - datetime.now(UTC)).total_seconds()
        why = f" ({submission.message})" if submission.message else ""
        return f"the job ended early{why}; the next try is in {duration(left)}"
    ahead = f"{counted(place - 1, 'other')} before it" if place > 1 else "next"
    verb = "runs" if active == 1 else "run"
    return f"{ahead}; {active} of {submission.submitter}'s {verb} now" if active else ahead
