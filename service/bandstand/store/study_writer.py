"""The one writer of a study: holds its lease, appends its events, keeps Optuna's tables in step.

Knows how a batch becomes durable. Must not know why anything was decided.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from bandstand.errors import DatabaseUnreachableError, LeaseLostError
from bandstand.store import tables
from bandstand.store.database import Database
from bandstand.store.monitoring.coordinator_counts import CoordinatorCounts
from bandstand.store.optuna_mirror import OptunaMirror
from bandstand.store.patience import AWAY_SECONDS
from bandstand.store.reading.event_log import read_events, read_replayed_events
from bandstand.store.records import StudyRequest
from bandstand.store.rows.event_rows import Rows, rows_from
from bandstand.store.rows.folder_rows import folders_of, named_files, take_folder
from bandstand.store.rows.request_rows import open_requests
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import FINAL_STATES, Event
from bandstand.trials.history import History

__all__ = ["Heard", "StudyWriter"]

_RECONNECT_SECONDS = AWAY_SECONDS
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What a coordinator hears at its heartbeat."""

    stop: bool  # the study is to be stopped
    requests: bool  # there are requests to take in


class StudyWriter:
    """Writes on the very connection that holds the lease, so that who has lost the lease cannot write.

    When that connection breaks, it is made again and the lease taken again, unless somebody else has had it meanwhile;
    the batch that was under way is repeated, which is harmless because rows are known by their sequence numbers.

    Not thread-safe: one thread at a time.

    Raises, from any method:
        LeaseLostError: somebody else has the study now, or the database stayed away.
    """

    def __init__(
        self,
        *,
        database: Database,
        connection: Connection,
        study_id: int,
        spec: StudySpec,
        mirror: OptunaMirror,
        holder: str,
        token: str,
    ):
        """Use `Store.claim`; `connection` holds the advisory lock."""
        self.study_id = study_id
        self.spec = spec
        self._database = database
        self._lost: LeaseLostError | None = None
        self._connection = connection
        self._mirror = mirror
        self._token = token
        self._seq = 0
        row = {"study_id": study_id, "token": token, "holder": holder}
        take = insert(tables.lease).values(row)
        now = sa.func.clock_timestamp()
        take = take.on_conflict_do_update(
            index_elements=["study_id"], set_=row | {"acquired_at": now, "heartbeat_at": now, "pulse": None}
        )
        study = sa.update(tables.study).where(tables.study.c.id == study_id)
        with connection.begin():
            connection.execute(take)
            connection.execute(study.values(stop_requested=False))

    def events(self) -> list[Event]:
        """All events so far, in order."""
        with self._connection.begin():
            return list(self._counted(read_events(self._connection, self.study_id)))

    def replay(self, take: Callable[[Iterable[Event]], T]) -> T:
        """Have all events so far taken in order, as `read_replayed_events` gives them; returns what `take` returns."""
        with self._connection.begin():
            return take(self._counted(read_replayed_events(self._connection, self.study_id)))

    @property
    def last_event(self) -> int:
        """The number of the study's latest event, of those read and those made rows of; 0 where there is none."""
        return self._seq

    def _counted(self, events: Iterable[tuple[int, Event]]) -> Iterator[Event]:
        """The events without their numbers; the next batch is numbered after the last."""
        self._seq = 0
        for self._seq, event in events:
            yield event

    def rows_from(self, events: Iterable[Event], history: History) -> Rows:
        """Number a batch of events and make its rows. Quick; call it before the history moves on."""
        numbered = []
        for event in events:
            self._seq += 1
            numbered.append((self._seq, event))
        return rows_from(self.study_id, numbered, history)

    def write(self, rows: Rows) -> None:
        """Make a batch durable; it is all there when this returns."""
        self._persistently(lambda connection: self._write(connection, rows))

    def mirror(self, events: Iterable[Event], rows: Rows) -> None:
        """Bring Optuna's tables up to a batch that has been written."""
        self._mirror.follow(events, {row["number"]: row for row in rows.trials}, rows.best)

    def catch_up_mirror(self, history: History) -> None:
        """Bring Optuna's tables up to everything there is, whatever a killed predecessor left out."""
        self._mirror.catch_up(history)

    def heartbeat(self, figures: CoordinatorCounts | None = None) -> Heard:
        """Say that the study is being run, and what was counted; returns what somebody wants of it."""
        asked = tables.request.c
        waiting = sa.exists().where(asked.study_id == self.study_id, asked.taken_at.is_(None))
        pulse = None if figures is None else dataclasses.asdict(figures)

        def beat(connection: Connection) -> Heard:
            lease = self._of_study(tables.lease).values(heartbeat_at=sa.func.clock_timestamp(), pulse=pulse)
            connection.execute(lease)
            study = self._of_study(tables.study).values(updated_at=sa.func.clock_timestamp())
            heard = connection.execute(study.returning(tables.study.c.stop_requested, waiting)).one()
            return Heard(stop=bool(heard[0]), requests=bool(heard[1]))

        return self._persistently(beat)

    def open_requests(self) -> list[StudyRequest]:
        """What users have asked for and was not taken in, the oldest first."""
        return self._persistently(lambda connection: open_requests(connection, self.study_id))

    def refuse(self, request: int, answer: str) -> None:
        """Say why a request is not granted. That one is, its event says, in the same transaction."""
        self._persistently(lambda connection: self._answer(connection, [{"of_request": request}], answer))

    def set_study(self, **columns: Any) -> None:
        """Set columns of the study's own row, such as its state or the best model's place."""
        if columns.get("state") in ("finished", "failed", "stopped"):
            columns["ended_at"] = sa.func.clock_timestamp()
        self._persistently(lambda connection: connection.execute(self._of_study(tables.study).values(columns)))

    def forget_checkpoints(self, trial: int | None = None, keep: Collection[int] = ()) -> list[str]:
        """Drop the record of checkpoints; returns where they are.

        Args:
            trial: whose; None for all of the study.
            keep: the epochs of those that stay.
        """

        def forget(connection: Connection) -> list[str]:
            kept = tables.checkpoint
            which = sa.delete(kept).where(kept.c.study_id == self.study_id, kept.c.epoch.not_in(keep))
            if trial is not None:
                which = which.where(kept.c.trial == trial)
            return [row.uri for row in connection.execute(which.returning(kept.c.uri))]

        return self._persistently(forget)

    def checkpoint_uri(self, trial: int, epoch: int) -> str | None:
        """Where a checkpoint is; None if there is none of that epoch."""

        def read(connection: Connection) -> str | None:
            kept = tables.checkpoint
            query = sa.select(kept.c.uri).where(
                kept.c.study_id == self.study_id, kept.c.trial == trial, kept.c.epoch == epoch
            )
            return connection.execute(query).scalar()

        return self._persistently(read)

    def take_folder(self, checkpoints_uri: str) -> str:
        """As `folder_rows.take_folder`: the study's folder below this place."""
        return self._persistently(lambda connection: take_folder(connection, self.study_id, checkpoints_uri))

    def folders(self) -> tuple[list[str], list[str]]:
        """The folders that the study's files are in, and every file that the database names."""
        return self._persistently(
            lambda connection: (folders_of(connection, self.study_id), named_files(connection, self.study_id))
        )

    def study_columns(self) -> sa.Row[tuple[object, ...]]:
        """The study's own row."""
        query = sa.select(tables.study).where(tables.study.c.id == self.study_id)
        return self._persistently(lambda connection: connection.execute(query).one())

    def close(self) -> None:
        """Give the lease back; nothing if it is lost."""
        self._mirror.close()
        if self._lost is not None:
            return
        try:
            with self._connection.begin():
                self._connection.execute(
                    sa.delete(tables.lease).where(
                        tables.lease.c.study_id == self.study_id, tables.lease.c.token == self._token
                    )
                )
            self._connection.invalidate()  # a pooled connection would keep the lock
        except sa.exc.DBAPIError:
            pass  # the connection is gone, and the lock with it
        self._connection.close()

    # -- inside -----------------------------------------------------------------------------------------------------

    def _of_study(self, table: sa.Table) -> sa.Update:
        key = table.c.id if table is tables.study else table.c.study_id
        return sa.update(table).where(key == self.study_id)

    def _write(self, connection: Connection, rows: Rows) -> None:
        for table, many in (
            (tables.event, rows.events),
            (tables.measurement, rows.measurements),
            (tables.attempt, rows.attempts_begun),
        ):
            if many:
                connection.execute(_new(table), many)
        if rows.checkpoints:
            connection.execute(_checkpoints_changed(), rows.checkpoints)
        if rows.trials:
            connection.execute(_trials_changed(tuple(rows.trials[0])), rows.trials)
        if rows.attempts_ended:
            connection.execute(_attempts_ended(), rows.attempts_ended)
        if rows.requests:
            self._answer(connection, rows.requests, "")
        connection.execute(_study_changed(), {"of_study": self.study_id, **rows.study})

    def _answer(self, connection: Connection, requests: list[dict[str, Any]], answer: str) -> None:
        asked = tables.request
        taken = sa.update(asked).where(asked.c.id == sa.bindparam("of_request"), asked.c.study_id == self.study_id)
        connection.execute(taken.values(taken_at=sa.func.clock_timestamp(), answer=answer), requests)

    def _persistently(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction on the lease's connection, on a new one if that has broken."""
        if self._lost is not None:  # another caller has found that out; the connection is closed
            raise LeaseLostError(str(self._lost))
        deadline = time.monotonic() + _RECONNECT_SECONDS
        while True:
            try:
                with self._database.in_one_line(), self._connection.begin():
                    return work(self._connection)
            except DatabaseUnreachableError as error:
                _log.warning("%s; trying again for %.0f s", error, _RECONNECT_SECONDS)
                try:
                    if time.monotonic() > deadline:  # it answers, and cannot store
                        raise LeaseLostError(f"{error}; then run the study again") from None
                    self._reconnect(deadline)
                except LeaseLostError as lost:
                    self._lost = lost
                    raise

    def _reconnect(self, deadline: float) -> None:
        self._connection.invalidate()
        self._connection.close()
        while True:
            try:
                with self._database.in_one_line():
                    return self._take_again(self._database.engine.connect(), deadline)
            except DatabaseUnreachableError:
                if time.monotonic() > deadline:
                    raise LeaseLostError(
                        "the database did not come back; run the study again when it answers"
                    ) from None
                time.sleep(1.0)

    def _take_again(self, connection: Connection, deadline: float) -> None:
        """Go on with a new connection that holds the lease.

        Raises:
            LeaseLostError: somebody else has had it meanwhile.
        """
        lock = sa.func.pg_try_advisory_lock(tables.LEASE_CLASS, self.study_id)
        token = sa.select(tables.lease.c.token).where(tables.lease.c.study_id == self.study_id)
        while True:
            locked = connection.execute(sa.select(lock)).scalar()
            mine = connection.execute(token).scalar() == self._token
            connection.commit()
            if locked and mine:
                self._connection = connection
                return
            if not mine or time.monotonic() > deadline:
                connection.invalidate()
                connection.close()
                raise LeaseLostError(
                    "another coordinator has taken over the study while the database was away; watch it with "
                    "`bandstand show`"
                )
            time.sleep(0.5)  # the server has not yet noticed that the old connection is dead


# -- statements of a batch, each made once: to make one takes longer than to run it ------------------------------------


@cache
def _new(table: sa.Table) -> sa.Insert:
    """New rows; those that are there already, because a batch is repeated, stay as they are."""
    return insert(table).on_conflict_do_nothing()


@cache
def _checkpoints_changed() -> sa.Insert:
    """Checkpoints as they are now: where one of this epoch could not be used, a later attempt has written another."""
    checkpoint = insert(tables.checkpoint)
    changed = {name: checkpoint.excluded[name] for name in ("attempt", "uri")}
    return checkpoint.on_conflict_do_update(index_elements=["study_id", "trial", "epoch"], set_=changed)


@cache
def _trials_changed(columns: tuple[str, ...]) -> sa.Insert:
    """Trials as they stand now, new or not, with these columns."""
    trial = insert(tables.trial)
    changed: dict[str, Any] = {name: trial.excluded[name] for name in columns if name not in ("study_id", "number")}
    # Not `in_`: its expanding parameters cannot be used with many rows.
    final = sa.or_(*(trial.excluded.state == state for state in FINAL_STATES))
    changed["ended_at"] = sa.case((final, sa.func.clock_timestamp()), else_=None)
    return trial.on_conflict_do_update(index_elements=["study_id", "number"], set_=changed)


@cache
def _attempts_ended() -> sa.Update:
    ended = tables.attempt
    which = sa.update(ended).where(
        ended.c.study_id == sa.bindparam("of_study"),
        ended.c.trial == sa.bindparam("of_trial"),
        ended.c.attempt == sa.bindparam("of_attempt"),
        ended.c.ended_at.is_(None),  # one that paused has ended, though its trial ends much later
    )
    return which.values(ended_at=sa.func.clock_timestamp(), outcome=sa.bindparam("outcome"))


@cache
def _study_changed() -> sa.Update:
    """The columns of the study's own row that are given beside its id, `of_study`."""
    study = tables.study
    return sa.update(study).where(study.c.id == sa.bindparam("of_study")).values(updated_at=sa.func.clock_timestamp())
