"""The store: every study in PostgreSQL, to list, read and claim. The only module that opens the database.

Readers may be many. A study is written by the one `StudyWriter` that holds its lease (see `study_writer`).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from bandstand.comparison.finished import read_finished_like
from bandstand.comparison.plan import ComparisonPlan
from bandstand.comparison.plan_rows import read_plan, read_plan_names, read_plan_page, write_plan
from bandstand.errors import InputError
from bandstand.optuna_tables.optuna_mirror import OptunaMirror
from bandstand.settings import database_url
from bandstand.store import database, tables
from bandstand.store.accounts import Accounts
from bandstand.store.embedded import embedded_url
from bandstand.store.monitoring.census import Census, read_census
from bandstand.store.monitoring.pulse import Pulse, read_pulse
from bandstand.store.replays import read_replayed_data
from bandstand.store.requests import Request, check_extension, checked_params, read_budget, read_requests, write_request
from bandstand.store.schedules import Schedule, read_schedule
from bandstand.store.study_list import Stamp, StudySummary, TrialSummary, read_stamps, read_summaries, read_trials
from bandstand.store.study_rows import find_or_create, find_row, get_row, has_work, try_to_hold, wait_to_hold
from bandstand.store.study_writer import StudyWriter
from bandstand.store.views import (
    BestTrial,
    EndedTrial,
    StudyProgress,
    StudyRecord,
    read_best,
    read_ended,
    read_progress,
    read_record,
    read_test_metrics,
)
from bandstand.study.study import Budget, StudySpec
from bandstand.submissions.queue import SubmissionQueue

__all__ = ["Store", "upgrade_database"]


class Store:
    """One database. Thread-safe, but not to be carried into a forked process.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, url: str):
        """Use `Store.open`; `url` is a secret."""
        self.url = url
        self._engine = database.connect(url)
        self._readers = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def open(cls) -> Store:
        """The store that the environment names; the embedded server is started if none is.

        Raises:
            DatabaseUnreachableError: it does not answer.
            DatabaseVersionError: server or schema too old or too new.
        """
        return cls(database_url() or embedded_url())

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection, for the modules beside this one that know a part of the tables."""
        with self._connect(self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `connection`, for queries alone: without a transaction around them, which saves two ways to the server."""
        with self._connect(self._readers) as connection:
            yield connection

    @contextmanager
    def _connect(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise database.unreachable(self.url, error) from None

    @property
    def queue(self) -> SubmissionQueue:
        """What servers are asked to run."""
        return SubmissionQueue(self)

    @property
    def accounts(self) -> Accounts:
        """Who may ask servers for what."""
        return Accounts(self)

    # -- reading ----------------------------------------------------------------------------------------------------

    def studies(
        self,
        *,
        state: str | None = None,
        submitter: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        names: Collection[str] | None = None,
    ) -> list[StudySummary]:
        """Studies, the newest first: all, or some of them. One query, however many there are.

        Args:
            state: only those in this one of `study_list.STATES`.
            submitter: only those that this user has submitted.
            after: `id` of the last one of the page before.
            limit: at most so many.
            names: only these.
        """
        with self.reading() as connection:
            return read_summaries(connection, names=names, state=state, submitter=submitter, after=after, limit=limit)

    def trials(self, name: str, after: int = -1, limit: int | None = None) -> list[TrialSummary]:
        """Trials of a study by their numbers.

        Args:
            name: the study.
            after: the number of the last one of the page before.
            limit: at most so many.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_trials(connection, get_row(connection, name).id, after, limit)

    def spec(self, name: str) -> StudySpec:
        """A study's spec.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return StudySpec.model_validate(get_row(connection, name).spec)

    def progress(self, name: str) -> StudyProgress:
        """Where a study stands, for a live display; cheap enough to ask twice a second.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_progress(connection, get_row(connection, name))

    def stamps(self, names: Collection[str]) -> dict[str, Stamp]:
        """What changes whenever a study does, by name; studies that are not there are left out."""
        with self.reading() as connection:
            return read_stamps(connection, names)

    def best(self, name: str) -> tuple[BestTrial | None, dict[str, float] | None]:
        """A study's best trial so far, and the metrics of the study's model on the test data.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            row = get_row(connection, name)
            return read_best(connection, row, StudySpec.model_validate(row.spec)), read_test_metrics(row)

    def record(self, name: str) -> StudyRecord:
        """All that is known of a study, with its trials and measurements as frames.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_record(connection, get_row(connection, name))

    def ended_trials(self, name: str, after: int) -> list[EndedTrial]:
        """Trials that ended since an earlier call, oldest first.

        Args:
            name: the study.
            after: `seq` of the last one seen, 0 for all.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_ended(connection, get_row(connection, name), after)

    def schedule(self, name: str, trial: int | None = None) -> Schedule:
        """What a trial, or the best one, was trained with in each epoch up to its best, its ancestors included.

        Raises:
            StudyNotFoundError: there is none of this name.
            InputError: there is no such trial, or it has no value yet.
        """
        with self.reading() as connection:
            return read_schedule(connection, get_row(connection, name), trial)

    def replayed_data(self, name: str) -> dict[str, Any] | None:
        """As `read_replayed_data`: the fingerprint of the data of the study that this one replays."""
        with self.reading() as connection:
            return read_replayed_data(connection, name)

    def read_requests(self, name: str) -> list[Request]:
        """What users have asked of a study, the oldest first, with the answers.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_requests(connection, get_row(connection, name)._mapping["id"])

    def read_pulse(self, name: str) -> Pulse | None:
        """What the coordinator of a study has counted; None where none has it.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_pulse(connection, get_row(connection, name)._mapping["id"])

    def is_over(self, name: str) -> bool:
        """Whether there is nothing left to do for a study: it has finished, and nobody asks for more.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return not has_work(connection, get_row(connection, name))

    def comparisons(self) -> list[str]:
        """The names of all comparisons, the newest first."""
        with self.reading() as connection:
            return read_plan_names(connection)

    def comparison_page(self, after: int | None, limit: int) -> list[sa.Row[Any]]:
        """Some comparisons, as `read_plan_page` has them."""
        with self.reading() as connection:
            return read_plan_page(connection, after, limit)

    def census(self) -> Census:
        """How much there is of everything."""
        with self.reading() as connection:
            return read_census(connection)

    def comparison(self, name: str) -> ComparisonPlan:
        """A comparison's plan.

        Raises:
            ComparisonNotFoundError: there is none of this name.
        """
        with self.reading() as connection:
            return read_plan(connection, name)

    def finished_like(self, specs: Sequence[StudySpec]) -> dict[str, list[str]]:
        """As `read_finished_like`: by the specs' names, finished studies that a comparison may take over."""
        with self.reading() as connection:
            return read_finished_like(connection, specs)

    # -- writing ----------------------------------------------------------------------------------------------------

    def check_name(self, spec: StudySpec) -> bool:
        """Whether the study exists already.

        Raises:
            StudyNameTakenError: with another spec.
        """
        with self.connection() as connection:
            return find_row(connection, spec) is not None

    def request_stop(self, name: str) -> bool:
        """Ask whoever runs a study to stop it.

        Returns:
            Whether somebody runs it.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.connection() as connection, connection.begin():
            study_id = get_row(connection, name).id
            if try_to_hold(connection, study_id):  # free, so nobody runs it
                connection.execute(sa.select(sa.func.pg_advisory_unlock(tables.LEASE_CLASS, study_id)))
                return False
            connection.execute(sa.update(tables.study).where(tables.study.c.id == study_id).values(stop_requested=True))
            return True

    def request_budget(self, name: str, budget: Budget, by: str | None = None) -> int:
        """Ask that a study may spend more; a finished one goes on when it is run again.

        Args:
            name: the study, in any state.
            budget: new totals of limits that the study has; what is None stays.
            by: who asks.

        Returns:
            The request's number; `read_requests` has its answer once the study's coordinator has taken it in.

        Raises:
            StudyNotFoundError: there is none of this name.
            InputError: it cannot be granted; nothing was written.
        """
        with self.connection() as connection, connection.begin():
            study_id, spec = self._requestable(connection, name)
            now = read_budget(connection, study_id, spec)
            for request in read_requests(connection, study_id):
                if request.kind == "extend" and request.taken_at is None:  # it is granted before this one
                    now = now.model_copy(update=dict(request.data))
            check_extension(spec, now, budget)
            return write_request(connection, study_id, "extend", budget.model_dump(exclude_none=True), by)

    def request_trial(self, name: str, params: Mapping[str, Any], by: str | None = None) -> int:
        """Ask that these params be trained next: before anything new that the strategy wants, within the budget.

        Args:
            name: the study, in any state. Where its budget is used, the trial waits until that is extended.
            params: a point of the study's space.
            by: who asks.

        Returns, Raises: as `request_budget`.
        """
        with self.connection() as connection, connection.begin():
            study_id, spec = self._requestable(connection, name)
            return write_request(connection, study_id, "enqueue", checked_params(spec, params), by)

    def _requestable(self, connection: Connection, name: str) -> tuple[int, StudySpec]:
        """A study's id and spec, where users may ask something of it; nobody else asks meanwhile.

        Raises:
            InputError: it is part of a comparison.
        """
        row = get_row(connection, name)._mapping
        connection.execute(sa.select(tables.study.c.id).where(tables.study.c.id == row["id"]).with_for_update())
        taken = tables.comparison_study.c.study_name
        plans = [plan for plan in read_plan_names(connection) if name.startswith(f"{plan}/")]
        if plans or connection.execute(sa.select(taken).where(taken == name).limit(1)).scalar() is not None:
            raise InputError(
                f"{name}: the studies of a comparison have equal budgets and no trials from outside; run a study of "
                "its own for that"
            )
        return int(row["id"]), StudySpec.model_validate(row["spec"])

    def keep_comparison(self, plan: ComparisonPlan) -> ComparisonPlan:
        """Keep a comparison's plan, or extend the one of this name; returns what is kept then.

        Raises:
            StudyNameTakenError: the name belongs to a comparison with other settings.
        """
        with self.connection() as connection, connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.CREATE_LOCK)))
            return write_plan(connection, plan)

    def prepare_claim(self, spec: StudySpec) -> None:
        """Do beforehand what takes long at a process's first `claim`; nothing of the study is written.

        Raises:
            DatabaseVersionError: Optuna's tables belong to another version of Optuna.
        """
        with closing(OptunaMirror(self.url, spec)) as mirror:
            mirror.check()

    def claim(self, spec: StudySpec, holder: str) -> StudyWriter:
        """Create the study, or take it up again, as its only writer.

        Args:
            spec: the study.
            holder: who claims it, for the message that others get.

        Raises:
            StudyNameTakenError: the name belongs to another spec, or to an Optuna study that is not ours.
            StudyInUseError: somebody else holds it.
        """
        mirror = OptunaMirror(self.url, spec)
        connection = self._engine.connect()
        try:
            with connection.begin():
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.CREATE_LOCK)))
                study_id = find_or_create(connection, spec, mirror, "running")
            wait_to_hold(connection, study_id)
        except BaseException:
            mirror.close()
            connection.close()
            raise
        return StudyWriter(
            engine=self._engine, connection=connection, study_id=study_id, spec=spec,
            mirror=mirror, holder=holder, token=uuid.uuid4().hex,
        )  # fmt: skip

    def find_or_queue(self, connection: Connection, spec: StudySpec) -> int:
        """The id of a study, which is created where there is none, as one that waits for a server.

        Args:
            connection: in a transaction that holds `CREATE_LOCK`.
            spec: the study.

        Raises:
            StudyNameTakenError: as `claim`.
        """
        with closing(OptunaMirror(self.url, spec)) as mirror:
            return find_or_create(connection, spec, mirror, "queued")

    def delete_optuna_studies(self, names: Sequence[str]) -> None:
        """Delete studies from Optuna's tables; one that is not there is no error."""
        from bandstand.optuna_storage import SoleWriterStorage

        with closing(SoleWriterStorage.open(self.url)) as storage:
            for name in names:
                with suppress(KeyError):
                    storage.delete_study(storage.get_study_id_from_name(name))


def upgrade_database() -> str:
    """Bring our schema and Optuna's up to date in the database that the environment names.

    Returns:
        A sentence saying what was done.

    Raises:
        DatabaseUnreachableError: it does not answer.
        DatabaseVersionError: it is newer than this code.
    """
    url = database_url() or embedded_url()
    before, after = database.migrate(database.connect(url, any_schema=True))
    OptunaMirror.upgrade(url)
    if before == after:
        return f"the schema is at revision {after}, as it was"
    return f"the schema is at revision {after} now; it was at {before or 'none'}"
