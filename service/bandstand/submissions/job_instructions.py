"""What a job on the cluster says of its own run.

Knows the run it is and what it is to do. Must not know how it got to the cluster, nor what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bandstand.errors import InputError
from bandstand.store import tables
from bandstand.store.rows.study_rows import has_work
from bandstand.store.rows.submission_rows import read_studies, read_submission, run_from
from bandstand.store.store import Store
from bandstand.study.states import RunState, SubmissionState
from bandstand.study.study_spec import StudySpec

__all__ = ["JobInstructions", "begin_job", "must_stop", "refuse_job"]


@dataclass(frozen=True, kw_only=True)
class JobInstructions:
    """What a job is to do."""

    specs: list[StudySpec]  # those with work left, in this order
    workers: int | None
    submitter: str
    labels: Mapping[str, str]  # that the nodes of its trainers must have
    data_may_differ: bool  # whether trainers are taken whose data are not those of the study's first


def begin_job(store: Store, run: str) -> JobInstructions:
    """Say that the job of this run has begun; returns what it is to do.

    Raises:
        InputError: there is no such run, another one has taken its place, or it has been stopped.
    """
    with store.database.connection() as connection, connection.begin():
        of_run = sa.select(tables.run).where(tables.run.c.id == run).with_for_update()
        row = connection.execute(of_run).one_or_none()
        if row is None:
            raise InputError(
                f"the database has no run {run!r}: check that BANDSTAND_DATABASE_URL names the server's database"
            )
        found = run_from(row)
        newest = sa.select(sa.func.max(tables.run.c.number)).where(tables.run.c.submission_id == found.submission_id)
        if found.state.has_ended or connection.execute(newest).scalar_one() != found.number:
            raise InputError(
                f"job {run!r} belongs to an earlier run of this submission or has already ended; it is {found.state} "
                "and does nothing more"
            )
        submission = read_submission(connection, found.submission_id)
        if submission.state is SubmissionState.STOPPING:
            raise InputError("the submission was stopped before its job began")
        begun = {"state": RunState.RUNNING, "started_at": sa.func.clock_timestamp()}
        connection.execute(sa.update(tables.run).where(tables.run.c.id == run).values(begun))
        studies = read_studies(connection, submission.id)
        return JobInstructions(
            specs=[StudySpec.model_validate(study.spec) for study in studies if has_work(connection, study)],
            workers=submission.workers,
            submitter=submission.submitter,
            labels=submission.labels,
            data_may_differ=submission.data_may_differ,
        )


def must_stop(store: Store, run: str) -> bool:
    """Whether the job of this run should pause: its submission is being stopped, or the run counts as over."""
    of_run = sa.select(tables.run.c.state, tables.submission.c.state.label("submission_state"))
    of_run = of_run.join(tables.submission, tables.submission.c.id == tables.run.c.submission_id)
    with store.database.connection() as connection:
        row = connection.execute(of_run.where(tables.run.c.id == run)).one_or_none()
    return row is None or RunState(row.state).has_ended or row.submission_state == SubmissionState.STOPPING


def refuse_job(store: Store, run: str, message: str) -> None:
    """Say that the studies of this run, if it has not ended, cannot be run as they stand; it is not tried again."""
    ended = {"state": RunState.REFUSED, "message": message, "ended_at": sa.func.clock_timestamp()}
    changed = sa.update(tables.run).where(tables.run.c.id == run, tables.run.c.ended_at.is_(None))
    with store.database.connection() as connection, connection.begin():
        connection.execute(changed.values(ended))
