"""Submissions and their runs, as rows and as what readers get of them.

Knows the rows. Must not know how they change: `bandstand.submissions` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import StudyNotFoundError
from bandstand.store import tables
from bandstand.study.states import RunState, SubmissionKind, SubmissionOutcome, SubmissionState

__all__ = [
    "TURN",
    "Run",
    "Submission",
    "find_submission",
    "read_runs",
    "read_studies",
    "submission_of_run",
]

TURN: tuple[sa.ColumnElement[object], ...] = (
    tables.submission.c.priority.desc(),
    tables.submission.c.queued_at,
    tables.submission.c.id,
)
"""The order in which submissions are run."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What somebody asked a server to run."""

    id: int
    name: str  # of the study, or of the comparison
    kind: SubmissionKind
    submitter: str
    code: str | None  # SHA-256 of the archive; None: the cluster has the modules
    workers: int | None  # trainers at the same time; None: as many as fit
    priority: int  # the higher, the sooner
    labels: Mapping[str, str]  # that a node must have to run it, as Ray's label selectors
    data_may_differ: bool  # whether trainers are taken whose data are not those of the study's first
    state: SubmissionState
    outcome: SubmissionOutcome | None  # None: it has not ended
    message: str | None
    attempts: int  # runs in a row that have not trained an epoch yet
    not_before: datetime | None  # when it is tried again
    server: str | None  # whose it is, while it has a run
    queued_at: datetime
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One job of a submission."""

    id: str
    submission_id: int
    number: int  # from 1
    state: RunState
    message: str | None
    log_characters: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


def submission_from(row: sa.Row[tuple[object, ...]]) -> Submission:
    """The record of a row."""
    values = {name: row._mapping[name] for name in Submission.__dataclass_fields__}
    outcome = values["outcome"]
    return Submission(
        **values
        | {
            "kind": SubmissionKind(values["kind"]),
            "state": SubmissionState(values["state"]),
            "outcome": SubmissionOutcome(outcome) if outcome else None,
            "message": values["message"] or None,
            "server": values["server"] or None,
        }
    )


def run_from(row: sa.Row[tuple[object, ...]]) -> Run:
    """The record of a row."""
    values = {name: row._mapping[name] for name in Run.__dataclass_fields__}
    return Run(**values | {"state": RunState(values["state"]), "message": values["message"] or None})


def find_submission(connection: Connection, name: str, *, lock: bool = False) -> Submission | None:
    """The submission of this name, or the one that the study of this name belongs to.

    Args:
        connection: in a transaction if `lock`.
        name: of a study or comparison.
        lock: hold its row until the transaction ends.
    """
    query = _submission_query()
    row = connection.execute(query.with_for_update() if lock else query, {"name": name}).one_or_none()
    return None if row is None else submission_from(row)


def submission_of_run(connection: Connection, run: str) -> str | None:
    """The name of the submission that a run is of; None if there is no such run."""
    of_run = tables.run.c.submission_id == tables.submission.c.id
    query = sa.select(tables.submission.c.name).join(tables.run, of_run).where(tables.run.c.id == run)
    name: str | None = connection.execute(query).scalar()
    return name


@cache
def _submission_query() -> sa.Select[Any]:
    """Made once: that takes longer than to ask it."""
    table, member, study = tables.submission, tables.submission_study, tables.study
    name: sa.BindParameter[str] = sa.bindparam("name")
    of_study = (
        sa.select(member.c.submission_id)
        .join(study, study.c.id == member.c.study_id)
        .where(study.c.name == name)
        .scalar_subquery()
    )
    query = sa.select(table).where(sa.or_(table.c.name == name, table.c.id == of_study))
    return query.order_by((table.c.name == name).desc()).limit(1)


def read_submission(connection: Connection, number: int) -> Submission:
    """The submission of this id, which must be there."""
    query = sa.select(tables.submission).where(tables.submission.c.id == number)
    return submission_from(connection.execute(query).one())


def get_submission(connection: Connection, name: str) -> Submission:
    """As `find_submission`, with its row held.

    Raises:
        StudyNotFoundError: nothing of this name was submitted.
    """
    found = find_submission(connection, name, lock=True)
    if found is None:
        raise never_submitted(name)
    return found


def never_submitted(name: str) -> StudyNotFoundError:
    """What to say of a name that no submission has."""
    return StudyNotFoundError(
        f"no study or comparison {name!r} was submitted to a server; `bandstand list` shows all studies"
    )


def read_studies(connection: Connection, submission: int) -> list[sa.Row[tuple[object, ...]]]:
    """The rows of a submission's studies, in the order in which they run."""
    member, study = tables.submission_study, tables.study
    query = sa.select(study).join(member, member.c.study_id == study.c.id).where(member.c.submission_id == submission)
    return list(connection.execute(query.order_by(member.c.position)))


def read_runs(connection: Connection, submission: int) -> list[Run]:
    """All runs of a submission, the oldest first."""
    return [run_from(row) for row in connection.execute(_runs_query(), {"submission": submission})]


@cache
def _runs_query() -> sa.Select[Any]:
    run = tables.run
    of_submission = run.c.submission_id == sa.bindparam("submission", type_=sa.BigInteger)
    return sa.select(run).where(of_submission).order_by(run.c.number)
