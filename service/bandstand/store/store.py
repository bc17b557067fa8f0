"""The store: every study in PostgreSQL, to list, read and claim.

What else the database keeps has a class of its own beside this one, each on the same `Database`: tokens, requests,
plans of comparisons, figures for monitoring. Readers may be many. A study is written by the one `StudyWriter` that
holds its lease (see `study_writer`).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.locations import database_url
from bandstand.store import connecting, tables
from bandstand.store.accounts import Accounts
from bandstand.store.backup.embedded_upgrade import upgrade_embedded_server
from bandstand.store.comparison_plans import ComparisonPlans
from bandstand.store.database import Database
from bandstand.store.embedded import embedded_url
from bandstand.store.job_logins import rights
from bandstand.store.monitoring.monitoring import Monitoring
from bandstand.store.optuna_mirror import OptunaMirror
from bandstand.store.reading.overview import read_overview
from bandstand.store.reading.params_by_epoch import ParamsByEpoch, read_params_by_epoch
from bandstand.store.reading.replays import read_replayed_data
from bandstand.store.reading.study_list import (
    Stamp,
    StudySummary,
    TrialSummary,
    read_stamps,
    read_summaries,
    read_trials,
)
from bandstand.store.reading.trained_code import TrainedCode, read_trained_code
from bandstand.store.reading.views import read_ended, read_progress, read_record, read_test_metrics
from bandstand.store.records import EndedTrial, StudyOverview, StudyProgress, StudyRecord
from bandstand.store.rows.best_rows import read_best
from bandstand.store.rows.study_rows import find_or_create, find_row, get_row, has_work, wait_to_hold
from bandstand.store.study_requests import StudyRequests
from bandstand.store.study_writer import StudyWriter
from bandstand.study.study_spec import StudySpec
from bandstand.trials.best import BestTrial

__all__ = ["Store", "upgrade_database"]

_PAGE = 1_000


class Store:
    """The studies of one database. Thread-safe, but not to be carried into a forked process.

    Attributes:
        database: where they are.
        accounts: who may ask servers for what.
        requests: what users ask of studies that exist.
        plans: of comparisons.
        monitoring: how much there is of everything.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, url: str):
        """As `Database`; `open` takes the one that the environment names."""
        self.database = Database(url)
        self.accounts = Accounts(self.database)
        self.requests = StudyRequests(self.database)
        self.plans = ComparisonPlans(self.database)
        self.monitoring = Monitoring(self.database)

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
        self.database.close()

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
        with self.database.reading() as connection:
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
        with self.database.reading() as connection:
            return read_trials(connection, get_row(connection, name).id, after, limit)

    def spec(self, name: str) -> StudySpec:
        """A study's spec.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            return StudySpec.model_validate(get_row(connection, name).spec)

    def progress(self, name: str) -> StudyProgress:
        """Where a study stands, for a live display; cheap enough to ask twice a second.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            return read_progress(connection, get_row(connection, name))

    def stamps(self, names: Collection[str]) -> dict[str, Stamp]:
        """What changes whenever a study does, by name; studies that are not there are left out."""
        with self.database.reading() as connection:
            return read_stamps(connection, names)

    def best(self, name: str) -> tuple[BestTrial | None, dict[str, float] | None]:
        """A study's best trial so far, and the metrics of the study's model on the test data.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            row = get_row(connection, name)
            return read_best(connection, row, StudySpec.model_validate(row.spec)), read_test_metrics(row)

    def overview(self, name: str) -> StudyOverview:
        """What a page about a study says of it; for a large one as quick as for a small one.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            return read_overview(connection, get_row(connection, name))

    def trial_pages(self, name: str) -> Iterator[list[TrialSummary]]:
        """All trials of a study by their numbers, some at a time, so that memory does not grow with the study.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        after = -1
        while page := self.trials(name, after, _PAGE):
            yield page
            after = page[-1].number

    def record(self, name: str) -> StudyRecord:
        """All that is known of a study, with its trials and measurements as frames.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            return read_record(connection, get_row(connection, name))

    def ended_trials(self, name: str, after: int) -> list[EndedTrial]:
        """Trials that ended since an earlier call, oldest first.

        Args:
            name: the study.
            after: `seq` of the last one seen, 0 for all.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            return read_ended(connection, get_row(connection, name), after)

    def params_by_epoch(self, name: str, trial: int | None = None) -> ParamsByEpoch:
        """What a trial, or the best one, was trained with in each epoch up to its best, its ancestors included.

        Raises:
            StudyNotFoundError: there is none of this name.
            InputError: there is no such trial, or it has no value yet.
        """
        with self.database.reading() as connection:
            return read_params_by_epoch(connection, get_row(connection, name), trial)

    def replayed_data(self, name: str) -> dict[str, Any] | None:
        """As `read_replayed_data`: the fingerprint of the data of the study that this one replays."""
        with self.database.reading() as connection:
            return read_replayed_data(connection, name)

    def trained_code(self, spec: StudySpec) -> TrainedCode | None:
        """As `read_trained_code`: the fingerprint of the code that has trained a study, or what it replays."""
        with self.database.reading() as connection:
            return read_trained_code(connection, spec)

    def is_over(self, name: str) -> bool:
        """Whether there is nothing left to do for a study: it has finished, and nobody asks for more.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        with self.database.reading() as connection:
            return not has_work(connection, get_row(connection, name))

    # -- writing ----------------------------------------------------------------------------------------------------

    def check_name(self, spec: StudySpec) -> bool:
        """Whether the study exists already.

        Raises:
            StudyNameTakenError: with another spec.
        """
        with self.database.connection() as connection:
            return find_row(connection, spec) is not None

    def prepare_claim(self, spec: StudySpec) -> None:
        """Do beforehand what takes long at a process's first `claim`; nothing of the study is written.

        Raises:
            DatabaseVersionError: Optuna's tables belong to another version of Optuna.
        """
        with self.database.in_one_line(), closing(OptunaMirror(self.database.url, spec)) as mirror:
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
        with self.database.in_one_line():
            return self._claim(spec, holder)

    def _claim(self, spec: StudySpec, holder: str) -> StudyWriter:
        mirror = OptunaMirror(self.database.url, spec)
        connection = self.database.engine.connect()
        try:
            with connection.begin():
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.CREATE_LOCK)))
                study_id = find_or_create(connection, spec, mirror.create_study, "running")
            wait_to_hold(connection, study_id)
        except BaseException:
            mirror.close()
            connection.close()
            raise
        return StudyWriter(
            database=self.database, connection=connection, study_id=study_id, spec=spec,
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
        with closing(OptunaMirror(self.database.url, spec)) as mirror:
            return find_or_create(connection, spec, mirror.create_study, "queued")

    def delete_optuna_studies(self, names: Sequence[str]) -> None:
        """Delete studies from Optuna's tables; one that is not there is no error."""
        from bandstand.optuna_storage import SoleWriterStorage

        with closing(SoleWriterStorage.open(self.database.url)) as storage:
            for name in names:
                with suppress(KeyError):
                    storage.delete_study(storage.get_study_id_from_name(name))


def upgrade_database() -> str:
    """Bring our schema and Optuna's up to date in the database that the environment names.

    The embedded server's data are brought to the installed version of PostgreSQL first.

    Returns:
        A sentence saying what was done.

    Raises:
        DatabaseUnreachableError: it does not answer.
        DatabaseVersionError: it is newer than this code.
    """
    server = None if database_url() else upgrade_embedded_server()
    url = database_url() or embedded_url()
    with connecting.in_one_line(url):
        engine = connecting.connect(url, any_schema=True)
        before, after = connecting.migrate(engine)
        with engine.begin() as connection:
            rights.drop_optuna_policies(connection)
        OptunaMirror.upgrade(url)
        with engine.begin() as connection:
            rights.restore_optuna_policies(connection)
    schema = f"the schema is at revision {after} now; it was at {before or 'none'}"
    if before == after:
        schema = f"the schema is already at revision {after}"
    return schema if server is None else f"{server}. {schema[0].upper()}{schema[1:]}"
