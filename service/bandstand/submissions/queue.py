"""What users do with the queue: submit, stop, resume, delete, look.

Knows submissions and whose turn could come. Must not know who asks, nor how a server runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import InputError, StudyInUseError, StudyNameTakenError
from bandstand.store import tables
from bandstand.store.rows.study_rows import delete_row, has_work
from bandstand.store.rows.submission_rows import (
    TURN,
    Run,
    Submission,
    find_submission,
    get_submission,
    never_submitted,
    read_runs,
    read_studies,
    read_submission,
    submission_from,
)
from bandstand.store.store import Store
from bandstand.study.comparison_plan import ComparisonPlan
from bandstand.study.states import StudyState, SubmissionKind, SubmissionOutcome, SubmissionState
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.code_archive import CodeArchive
from bandstand.submissions.changes import CLOSED, end_submission, members_of, notify, set_submission
from bandstand.submissions.kept_code import drop_unused_code, is_kept, keep_code

__all__ = ["SubmissionQueue", "SubmissionTerms"]


@dataclass(frozen=True, kw_only=True)
class SubmissionTerms:
    """How a submission is to be run."""

    submitter: str
    code: CodeArchive | str | None = None  # or the SHA-256 of one that is kept; None: the cluster has the modules
    workers: int | None = None
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    data_may_differ: bool | None = None  # as of `bandstand run`; None: as it was, at first not


class SubmissionQueue:
    """The queue of one database.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, store: Store):
        """The queue of this store's database."""
        self._store = store

    # -- looking ----------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Submission | None:
        """The submission of a study or comparison; None if a server was never asked to run it."""
        with self._store.database.reading() as connection:
            return find_submission(connection, name)

    def runs(self, name: str) -> list[Run]:
        """The runs of a submission, the oldest first.

        Raises:
            StudyNotFoundError: nothing of this name was submitted.
        """
        found, runs = self.look_up(name)
        if found is None:
            raise never_submitted(name)
        return runs

    def look_up(self, name: str) -> tuple[Submission | None, list[Run]]:
        """As `find`, with its runs, the oldest first."""
        with self._store.database.reading() as connection:
            found = find_submission(connection, name)
            return found, [] if found is None else read_runs(connection, found.id)

    def log(self, run: str, start: int = 0, limit: int = 100_000) -> str:
        """A part of what a run has printed.

        Args:
            run: its id.
            start: characters to skip.
            limit: characters at most.
        """
        log = tables.run_log.c
        query = sa.select(log.start, log.text).where(
            log.run_id == run, log.start + sa.func.length(log.text) > start, log.start < start + limit
        )
        with self._store.database.reading() as connection:
            pieces = connection.execute(query.order_by(log.start)).all()
        text = "".join(piece.text for piece in pieces)
        skipped = max(0, start - pieces[0].start) if pieces else 0
        return text[skipped : skipped + limit]

    def waiting(self) -> list[Submission]:
        """All that is queued, the next one first."""
        table = tables.submission
        query = sa.select(table).where(table.c.state == SubmissionState.QUEUED)
        with self._store.database.reading() as connection:
            return [submission_from(row) for row in connection.execute(query.order_by(*TURN))]

    def has_code(self, sha256: str) -> bool:
        """Whether an archive of this SHA-256 is kept."""
        with self._store.database.reading() as connection:
            return is_kept(connection, sha256)

    # -- asking -----------------------------------------------------------------------------------------------------

    def keep_code(self, code: CodeArchive) -> bool:
        """Keep an archive for studies that are submitted within a day; returns whether it is new.

        Raises:
            InputError: it must not be unpacked.
        """
        code.check()
        with self._store.database.connection() as connection, connection.begin():
            is_new = not is_kept(connection, code.sha256)
            keep_code(connection, code)
            drop_unused_code(connection)
            return is_new

    def submit_study(self, spec: StudySpec, order: SubmissionTerms) -> tuple[Submission, bool]:
        """Ask for a study to be run. The same study again is the same submission.

        Returns:
            The submission, and whether it is new.

        Raises:
            StudyNameTakenError: the name belongs to a study with other settings or other code.
        """
        return self._submit(spec.name, SubmissionKind.STUDY, [spec], order)

    def submit_comparison(self, plan: ComparisonPlan, order: SubmissionTerms) -> tuple[Submission, bool]:
        """Ask for the studies of a comparison to be run, one after the other; more repeats or arms extend it.

        Returns:
            The submission, and whether there is something new to run.

        Raises:
            StudyNameTakenError: a name belongs to something with other settings or other code.
        """
        kept = self._store.plans.keep(plan)
        specs = [planned.spec for planned in kept.studies()]
        return self._submit(kept.name, SubmissionKind.COMPARISON, specs, order)

    def _submit(
        self, name: str, kind: SubmissionKind, specs: Sequence[StudySpec], order: SubmissionTerms
    ) -> tuple[Submission, bool]:
        if order.workers is not None and order.workers < 1:
            raise InputError(f"workers must be at least 1; got {order.workers}: raise it, or leave it out")
        if isinstance(order.code, CodeArchive):
            order.code.check()
        with self._store.database.connection() as connection, connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.CREATE_LOCK)))
            there = find_submission(connection, name, lock=True)
            if there is not None:
                _check_same(there, name, kind, order)
                _check_extension(connection, there, specs)
            studies = [self._store.find_or_queue(connection, spec) for spec in specs]
            code = None if order.code is None else keep_code(connection, order.code)
            number = there.id if there else _insert(connection, name, kind, code, order)
            added = _add_studies(connection, number, studies)
            is_new = there is None or added > 0
            if is_new:
                _queue(connection, number)
            return read_submission(connection, number), is_new

    def stop(self, name: str) -> Submission:
        """Ask for a submission to be paused; it can be resumed. What has ended stays as it is.

        Raises:
            StudyNotFoundError: nothing of this name was submitted.
        """
        with self._store.database.connection() as connection, connection.begin():
            found = get_submission(connection, name)
            if found.state is SubmissionState.QUEUED:
                end_submission(connection, found.id, SubmissionOutcome.STOPPED, "stopped while it waited in the queue")
            elif found.state is SubmissionState.RUNNING:
                set_submission(connection, found.id, state=SubmissionState.STOPPING)
                stop = sa.update(tables.study).where(tables.study.c.id.in_(members_of(found.id)))
                connection.execute(stop.where(tables.study.c.state.not_in(CLOSED)).values(stop_requested=True))
            notify(connection)
            return read_submission(connection, found.id)

    def resume(self, name: str, order: SubmissionTerms) -> Submission:
        """Have a study that ended go on where it stands, from now on with the order's code if it has some.

        Args:
            name: of a study or comparison, whoever has run it before.
            order: workers, priority and labels replace the former ones only for what was never submitted;
                `data_may_differ` does where it is given.

        Raises:
            StudyNotFoundError: there is no study of this name.
            InputError: it has finished, so that there is nothing left to do.
        """
        if self.find(name) is None:
            if self._store.is_over(name):
                raise _nothing_left(name)
            return self.submit_study(self._store.spec(name), order)[0]
        with self._store.database.connection() as connection, connection.begin():
            found = get_submission(connection, name)
            if found.state is not SubmissionState.ENDED:
                return found
            studies = read_studies(connection, found.id)
            if not any(has_work(connection, study) for study in studies):
                raise _nothing_left(name)
            if order.code is not None:
                if isinstance(order.code, CodeArchive):
                    order.code.check()
                set_submission(connection, found.id, code=keep_code(connection, order.code))
            if order.data_may_differ is not None:
                set_submission(connection, found.id, data_may_differ=order.data_may_differ)
            _queue(connection, found.id)
            return read_submission(connection, found.id)

    def delete(self, name: str) -> list[int]:
        """Delete a study or comparison with all that is known of it, in Optuna's tables too.

        Returns:
            The notes of its files, which are of no use any more, for `remove_leftovers`.

        Raises:
            StudyNotFoundError: there is none of this name.
            StudyInUseError: it is queued or runs: stop it first.
            StudyNameTakenError: it is a comparison's, and deleted with that.
        """
        with self._store.database.connection() as connection, connection.begin():
            found = find_submission(connection, name, lock=True)
            if found is not None and found.name == name:
                if found.state is not SubmissionState.ENDED:
                    raise StudyInUseError(
                        f"only a study or comparison that has ended can be deleted; {name!r} is {found.state}: stop it "
                        "first"
                    )
                names = [study.name for study in read_studies(connection, found.id)]
                connection.execute(sa.delete(tables.submission).where(tables.submission.c.id == found.id))
                if found.kind is SubmissionKind.COMPARISON:
                    connection.execute(sa.delete(tables.comparison).where(tables.comparison.c.name == name))
            elif found is not None:
                raise StudyNameTakenError(
                    f"a comparison's study cannot be deleted alone; {name!r} belongs to {found.name!r}: delete the "
                    "comparison"
                )
            else:
                names = [name]
            left = [delete_row(connection, study) for study in names]
            drop_unused_code(connection)
        self._store.delete_optuna_studies(names)
        return [note for note in left if note is not None]


def _nothing_left(name: str) -> InputError:
    return InputError(
        f"{name!r} has finished, so there is nothing to resume: extend its budget, or submit it under another name"
    )


def _check_same(there: Submission, name: str, kind: SubmissionKind, order: SubmissionTerms) -> None:
    if there.name != name:
        raise StudyNameTakenError(
            f"a study of a comparison cannot run alone; {name!r} belongs to {there.name!r}: resume the comparison"
        )
    code = order.code.sha256 if isinstance(order.code, CodeArchive) else order.code
    differences = []
    if there.kind != kind:
        differences.append(f"kind: {kind} here, {there.kind} stored")
    if there.code != code:
        short = [("none" if one is None else one[:12]) for one in (code, there.code)]
        differences.append(f"code: {short[0]} here, {short[1]} stored")
    if differences:
        raise StudyNameTakenError(
            f"a name belongs to one study with its code; {name!r} was submitted differently "
            f"({'; '.join(differences)}): resume it with the new code, or give this one a new name",
            differences,
        )


def _check_extension(connection: Connection, there: Submission, specs: Sequence[StudySpec]) -> None:
    known = {study.name for study in read_studies(connection, there.id)}
    if there.state is not SubmissionState.ENDED and any(spec.name not in known for spec in specs):
        raise StudyInUseError(
            f"a running comparison cannot be extended; {there.name!r} is {there.state}: stop it, or wait for its end"
        )


def _insert(connection: Connection, name: str, kind: SubmissionKind, code: str | None, order: SubmissionTerms) -> int:
    values = {
        "name": name,
        "kind": kind,
        "submitter": order.submitter,
        "code": code,
        "workers": order.workers,
        "priority": order.priority,
        "labels": dict(order.labels),
        "data_may_differ": bool(order.data_may_differ),
        "state": SubmissionState.QUEUED,
    }
    return int(
        connection.execute(sa.insert(tables.submission).values(values).returning(tables.submission.c.id)).scalar_one()
    )


def _add_studies(connection: Connection, submission: int, studies: Sequence[int]) -> int:
    """Make the studies the submission's, in this order; returns how many were not."""
    member = tables.submission_study
    before = set(connection.execute(sa.select(member.c.study_id).where(member.c.submission_id == submission)).scalars())
    others = connection.execute(
        sa.select(tables.study.c.name)
        .join(member, member.c.study_id == tables.study.c.id)
        .where(member.c.study_id.in_(studies), member.c.submission_id != submission)
    ).scalars().all()  # fmt: skip
    if others:
        raise StudyNameTakenError(
            f"a study belongs to one submission; {others[0]!r} belongs to another one already: submit this one under "
            "a new name"
        )
    if before != set(studies):
        connection.execute(sa.delete(member).where(member.c.submission_id == submission))
        rows = [{"submission_id": submission, "position": place, "study_id": one} for place, one in enumerate(studies)]
        connection.execute(sa.insert(member), rows)
    return len(set(studies) - before)


def _queue(connection: Connection, submission: int) -> None:
    now = sa.func.clock_timestamp()
    set_submission(
        connection, submission, state=SubmissionState.QUEUED, outcome="", message="", attempts=0, not_before=None,
        server="", queued_at=now, ended_at=None,
    )  # fmt: skip
    waits = sa.update(tables.study).where(tables.study.c.id.in_(members_of(submission)))
    waits = waits.where(tables.study.c.state.in_((StudyState.STOPPED, StudyState.FAILED)))
    connection.execute(waits.values(state=StudyState.QUEUED, stop_requested=False, ended_at=None))
    notify(connection)
