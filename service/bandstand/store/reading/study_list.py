"""Studies and trials as lists: a page at a time, each in a fixed number of queries however many there are.

Knows the tables and what readers of lists get. Must not know how to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.problem.directions import Direction, better_words
from bandstand.store import tables
from bandstand.store.rows.best_rows import counts, order_of_places
from bandstand.store.rows.spent_rows import trial_is_spent
from bandstand.store.rows.submission_rows import TURN
from bandstand.strategies import strategy_name
from bandstand.study.states import SubmissionState
from bandstand.trials.events import TrialState
from bandstand.trials.ledger import LimitSpent, spent_of_limits, spent_share

__all__ = [
    "STATES",
    "Stamp",
    "State",
    "StudySummary",
    "TrialSummary",
    "read_stamps",
    "read_summaries",
    "read_trials",
    "shown_state",
]

State = Literal["queued", "running", "interrupted", "stopped", "finished", "failed"]
"""That a study can be seen in; `interrupted` is said to run and has nobody who runs it."""
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """A study in a list."""

    id: int  # the later, the newer
    name: str
    state: str  # one of STATES
    reason: str
    metric: str
    direction: Direction
    strategy: str  # sampler and pruner
    max_epochs: int
    trials: int
    spent_trials: int  # of the budget's, by the rule of `bandstand.trials.ledger`
    running: int  # trials that a worker has
    epochs: int
    events: int  # changes whenever anything happens
    wall_seconds: float
    gpu_seconds: float
    budget: Mapping[str, float]  # as it is now: the limits that are set of epochs, trials, wall_seconds, gpu_hours
    best_value: float | None
    best_trial: int | None
    submitter: str | None  # None: made on the command line
    comparison: str | None  # whose study it is, if a comparison was submitted
    position: int | None  # in the queue, from 1
    created_at: datetime
    ended_at: datetime | None

    @property
    def better(self) -> str:
        """Which way the metric is, for people."""
        return better_words(self.direction)

    @property
    def budget_used(self) -> float | None:
        """The share of the budget that is spent, of the limit that is nearest; None where nothing is limited."""
        return spent_share(self.spent.values())

    @property
    def spent(self) -> dict[str, LimitSpent]:
        """What is spent of each limit that is set, by the limit's name."""
        return spent_of_limits(
            self.budget, epochs=self.epochs, trials=self.spent_trials, wall_seconds=self.wall_seconds,
            gpu_seconds=self.gpu_seconds,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrialSummary:
    """A trial in a list."""

    number: int
    state: str
    reason: str
    message: str
    params: Mapping[str, Any]
    value: float | None
    best_epoch: int
    epochs: int  # that it trained itself
    seconds: float  # of training
    bracket: int
    attempts: int
    parent: int | None
    from_epoch: int
    origin: str
    created_at: datetime
    ended_at: datetime | None


class Stamp(NamedTuple):
    """What changes whenever a study does."""

    state: str
    events: int  # the number of its latest event or epoch


def read_summaries(
    connection: Connection,
    *,
    names: Collection[str] | None = None,
    state: str | None = None,
    submitter: str | None = None,
    after: int | None = None,
    limit: int | None = None,
) -> list[StudySummary]:
    """Studies, the newest first, by one query.

    Args:
        connection: to read by.
        names: only these.
        state: only those in this one of `STATES`.
        submitter: only this user's.
        after: `id` of the last one of the page before.
        limit: at most so many.
    """
    given = {"names": names, "state": state, "submitter": submitter, "after": after}
    values = {name: value for name, value in given.items() if value is not None}
    if names is not None:
        values["names"] = list(names)
    query = _summaries_query(frozenset(values))
    rows = connection.execute(query, {**values, "limit": limit})
    return [_summary_from(row._mapping) for row in rows]


@cache
def _summaries_query(given: frozenset[str]) -> sa.Select[Any]:
    """Made once: that takes longer than most answers."""
    study, submission, member = tables.study, tables.submission, tables.submission_study
    query = (
        sa.select(
            *(study.c[name] for name in ("id", "name", "reason", "wall_seconds", "gpu_seconds", "created_at")),
            study.c.ended_at,
            study.c.spec,
            (study.c.spec["objective"]["direction"].as_string() == "minimize").label("is_loss"),  # read once a study
            (study.c.spec["objective"]["epoch"].as_string() == "last").label("takes_last"),
            shown_state().label("state"),
            submission.c.submitter,
            sa.case((submission.c.kind == "comparison", submission.c.name)).label("comparison"),
            submission.c.id.label("submission"),
            _latest(study.c.id).label("events"),
        )
        .outerjoin(member, member.c.study_id == study.c.id)
        .outerjoin(submission, submission.c.id == member.c.submission_id)
        .order_by(study.c.id.desc())
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
    )
    conditions = {
        "names": study.c.name.in_(sa.bindparam("names", expanding=True)),
        "state": shown_state() == sa.bindparam("state"),
        "submitter": submission.c.submitter == sa.bindparam("submitter"),
        "after": study.c.id < sa.bindparam("after", type_=sa.BigInteger),
    }
    query = query.where(*(conditions[name] for name in sorted(given)))
    return _with_figures(query.cte("page"))


def _with_figures(page: sa.CTE) -> sa.Select[Any]:
    """The studies of a page with what their trials add up to, the best one, and the place in the queue."""
    trial, submission = tables.trial, tables.submission
    of_study = trial.c.study_id == page.c.id
    tally = (
        sa.select(
            sa.func.count().label("trials"),
            sa.func.count().filter(trial_is_spent(trial)).label("spent_trials"),
            sa.func.count().filter(trial.c.state == TrialState.RUNNING).label("running"),
            sa.func.coalesce(sa.func.sum(trial.c.epochs - trial.c.from_epoch), 0).label("epochs"),
        )
        .where(of_study)
        .lateral("tally")
    )
    best = (
        sa.select(trial.c.number.label("best_trial"), trial.c.value.label("best_value"))
        .where(of_study, counts(page.c.takes_last))
        .order_by(*order_of_places(page.c.takes_last, page.c.is_loss))
        .limit(1)
        .lateral("best")
    )
    extended = _latest_extension(page)
    waiting = (
        sa.select(submission.c.id, sa.func.row_number().over(order_by=TURN).label("position"))
        .where(submission.c.state == SubmissionState.QUEUED)
        .cte("waiting")
    )
    return (
        sa.select(page, tally, best, extended, waiting.c.position)
        .select_from(page.join(tally, sa.true()).outerjoin(best, sa.true()).outerjoin(extended, sa.true()))
        .outerjoin(waiting, waiting.c.id == page.c.submission)
        .order_by(page.c.id.desc())
    )


def _latest_extension(page: sa.CTE) -> sa.FromClause:
    """The budget that a study of the page was last given, if it was ever extended."""
    event, request = tables.event, tables.request
    was_extended = sa.exists().where(
        request.c.study_id == page.c.id, request.c.kind == "extend", request.c.taken_at.is_not(None)
    )  # else all events would be gone through in vain
    return (
        sa.select(event.c.data["budget"].label("extended"))
        .where(event.c.study_id == page.c.id, event.c.kind == "extended", was_extended.correlate(page))
        .order_by(event.c.seq.desc())
        .limit(1)
        .lateral("extended")
    )


def shown_state() -> sa.ColumnElement[str]:
    """A study's state as an expression over its row: one that is said to run and that nobody holds was interrupted."""
    locks = sa.table("pg_locks", *(sa.column(name) for name in ("objid", "classid", "locktype", "granted", "database")))
    database = sa.text("(SELECT oid FROM pg_database WHERE datname = current_database())")
    held = sa.select(sa.cast(locks.c.objid, sa.BigInteger)).where(
        locks.c.locktype == "advisory",
        locks.c.granted,
        locks.c.database == database,
        sa.cast(locks.c.classid, sa.BigInteger) == tables.LEASE_CLASS,
    )
    state = tables.study.c.state
    return sa.case((sa.and_(state == "running", tables.study.c.id.not_in(held)), "interrupted"), else_=state)


def _summary_from(row: sa.RowMapping) -> StudySummary:
    spec: dict[str, Any] = row["spec"]
    budget: dict[str, Any] = spec["budget"] | (row["extended"] or {})
    own = set(StudySummary.__dataclass_fields__) - {"metric", "direction", "strategy", "max_epochs", "budget"}
    return StudySummary(
        **{name: row[name] for name in own - {"epochs"}},
        epochs=int(row["epochs"]),
        metric=spec["objective"]["metric"],
        direction=spec["objective"]["direction"],
        strategy=strategy_name(spec["sampler"], spec.get("pruner") or ""),
        max_epochs=spec["max_epochs"],
        budget={name: limit for name, limit in budget.items() if limit is not None},
    )


def read_stamps(connection: Connection, names: Collection[str]) -> dict[str, Stamp]:
    """The stamps of studies, by name, by one query; those that are not there are left out."""
    rows = connection.execute(_stamps_query(), {"names": list(names)})
    return {row.name: Stamp(row.state, row.events) for row in rows}


@cache
def _stamps_query() -> sa.Select[Any]:
    study = tables.study
    return sa.select(study.c.name, shown_state().label("state"), _latest(study.c.id).label("events")).where(
        study.c.name.in_(sa.bindparam("names", expanding=True))
    )


def _latest(study: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """The number of a study's latest event or epoch; 0 before there is any.

    An epoch is numbered like an event. The latest is of a trial that runs, or of one that something happened to since.
    """
    event, trial, measured = tables.event, tables.trial, tables.measurement
    latest_event = sa.select(sa.func.max(event.c.seq)).where(event.c.study_id == study)
    latest_epoch = (
        sa.select(sa.func.max(measured.c.seq))
        .join(trial, sa.and_(trial.c.study_id == measured.c.study_id, trial.c.number == measured.c.trial))
        .where(trial.c.study_id == study, trial.c.state == TrialState.RUNNING, measured.c.epoch == trial.c.epochs)
    )
    parts = [query.correlate(study.table).scalar_subquery() for query in (latest_event, latest_epoch)]
    return sa.func.greatest(*parts, 0)


def read_trials(connection: Connection, study_id: int, after: int, limit: int | None) -> list[TrialSummary]:
    """Trials of a study by their numbers, by one query.

    Args:
        connection: to read by.
        study_id: the study.
        after: the number of the last one seen, -1 for none.
        limit: at most so many.
    """
    rows = connection.execute(_trials_query(), {"study": study_id, "after": after, "limit": limit})
    own = set(TrialSummary.__dataclass_fields__) - {"attempts", "epochs"}
    return [
        TrialSummary(
            **{name: row[name] for name in own}, attempts=row["attempt"], epochs=row["epochs"] - row["from_epoch"]
        )
        for row in rows.mappings()
    ]


@cache
def _trials_query() -> sa.Select[Any]:
    trial, measured = tables.trial, tables.measurement
    seconds = (
        sa.select(sa.func.coalesce(sa.func.sum(measured.c.seconds), 0.0))
        .where(measured.c.study_id == trial.c.study_id, measured.c.trial == trial.c.number)
        .scalar_subquery()
    )
    return (
        sa.select(trial, seconds.label("seconds"))
        .where(trial.c.study_id == sa.bindparam("study", type_=sa.BigInteger), trial.c.number > sa.bindparam("after"))
        .order_by(trial.c.number)
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
    )
