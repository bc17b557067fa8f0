"""Reads the records of a study: its progress for a live display, all of it for reports.

Knows the tables and the frames that readers get. Must not know how to write.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import StudyNotFoundError
from bandstand.store import tables
from bandstand.store.reading.columns import Column, read_columns
from bandstand.store.reading.replays import read_replays
from bandstand.store.reading.study_list import Stamp, read_stamps
from bandstand.store.records import EndedTrial, RunningTrial, StudyProgress, StudyRecord
from bandstand.store.rows.best_rows import read_best
from bandstand.store.rows.event_rows import event_from
from bandstand.store.rows.request_rows import read_budget, read_requests
from bandstand.store.rows.spent_rows import trial_is_spent
from bandstand.strategies import make_strategy
from bandstand.study.study_spec import StudySpec
from bandstand.trials.best import BestTrial
from bandstand.trials.events import Combined, TrialState

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_ended", "read_facts", "read_progress", "read_record", "read_test_metrics"]

Row = sa.Row[Any]
_STUDY = sa.bindparam("study", type_=sa.BigInteger)
"""Queries are made once, with this in them: to make one takes longer than to ask it."""
_BETWEEN_BOOKINGS = timedelta(seconds=10)
"""A longer time that nobody has booked is a pause."""


def read_progress(connection: Connection, row: Row) -> StudyProgress:
    """The progress of the study in `row`."""
    spec = StudySpec.model_validate(row.spec)
    counted = connection.execute(_counts_query(), {"study": row.id}).all()
    asks = make_strategy(spec).ask_epochs()
    rungs = connection.execute(_rungs_query(), {"study": row.id, "asks": asks}).all()
    stamp = _stamp(connection, row)
    return StudyProgress(
        spec=spec,
        budget=read_budget(connection, row.id, spec),
        state=stamp.state,
        reason=row.reason,
        counts={state: count for state, count, _, _ in counted},
        spent_trials=sum(spent for _, _, spent, _ in counted),
        epochs=int(sum(epochs for *_, epochs in counted)),
        wall_seconds=row.wall_seconds,
        gpu_seconds=row.gpu_seconds,
        best=read_best(connection, row, spec),
        running=_running(connection, row.id),
        rungs=dict.fromkeys(asks, 0) | dict(tuple(pair) for pair in rungs),
        notices=_notices(connection, row.id),
        events=stamp.events,
    )


@cache
def _counts_query() -> sa.Select[Any]:
    trial = tables.trial.c
    spent = sa.func.count().filter(trial_is_spent(tables.trial))
    return (
        sa.select(trial.state, sa.func.count(), spent, sa.func.sum(trial.epochs - trial.from_epoch))
        .where(trial.study_id == _STUDY)
        .group_by(trial.state)
    )


@cache
def _rungs_query() -> sa.Select[Any]:
    measured = tables.measurement.c
    return (
        sa.select(measured.epoch, sa.func.count())
        .where(measured.study_id == _STUDY, measured.epoch.in_(sa.bindparam("asks", expanding=True)))
        .group_by(measured.epoch)
    )


def read_ended(connection: Connection, row: Row, after: int) -> list[EndedTrial]:
    """Trials of the study in `row` whose end has a later sequence number than `after`."""
    event, trial = tables.event, tables.trial
    query = (
        sa.select(event.c.seq, trial)
        .join(trial, sa.and_(trial.c.study_id == event.c.study_id, trial.c.number == event.c.trial))
        .where(event.c.study_id == row.id, event.c.kind == "ended", event.c.seq > after)
        .order_by(event.c.seq)
    )
    names = ("seq", "number", "state", "reason", "message", "value")
    return [
        EndedTrial(epochs=ended.epochs - ended.from_epoch, **{name: ended._mapping[name] for name in names})
        for ended in connection.execute(query)
    ]


def read_record(connection: Connection, row: Row) -> StudyRecord:
    """All of the study in `row`."""
    facts = read_facts(connection, row)
    measurements = _measurements(connection, row.id)
    return StudyRecord(
        **facts,
        trials=_trials(connection, row.id, facts["spec"], measurements),
        measurements=measurements,
        attempts=_frame(connection, tables.attempt, row.id, ["trial", "attempt"]).drop(columns="study_id"),
        runs=_runs(connection, row.id),
    )


def read_facts(connection: Connection, row: Row) -> dict[str, Any]:
    """The fields of `StudyFacts` of the study in `row`."""
    spec = StudySpec.model_validate(row.spec)
    best = read_best(connection, row, spec)
    return {
        "spec": spec,
        "budget": read_budget(connection, row.id, spec),
        "state": _stamp(connection, row).state,
        "reason": row.reason,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "wall_seconds": row.wall_seconds,
        "gpu_seconds": row.gpu_seconds,
        "best": best,
        "model_trial": row.model_trial,
        "test_metrics": read_test_metrics(row),
        "test_looks": row.test_looks,
        "requests": read_requests(connection, row.id),
        "environment": dict(row.environment or {}),
        "notices": _notices(connection, row.id),
        "combined": _combined(connection, row.id, best),
        "replays": read_replays(connection, row),
    }


def _runs(connection: Connection, study_id: int) -> tuple[tuple[datetime, datetime], ...]:
    """From the bookings of time, each of which ends when it was written; they follow one another within seconds."""
    event = tables.event.c
    query = sa.select(event.created_at, event.data).where(event.study_id == study_id, event.kind == "spent")
    runs: list[tuple[datetime, datetime]] = []
    for booked_at, data in connection.execute(query.order_by(event.seq)):
        began = booked_at - timedelta(seconds=data["wall_seconds"])
        if runs and began - runs[-1][1] < _BETWEEN_BOOKINGS:
            runs[-1] = runs[-1][0], booked_at
        else:
            runs.append((began, booked_at))
    return tuple(runs)


def _stamp(connection: Connection, row: Row) -> Stamp:
    """The stamp of the study in `row`, which may have been deleted since that was read."""
    found = read_stamps(connection, [row.name])
    if row.name not in found:
        raise StudyNotFoundError(f"study {row.name!r} was deleted a moment ago; `bandstand list` shows the others")
    return found[row.name]


@cache
def _running_query() -> sa.Select[Any]:
    trial, measured = tables.trial, tables.measurement
    return (
        sa.select(trial, measured.c.value.label("latest"))
        .outerjoin(
            measured,
            sa.and_(
                measured.c.study_id == trial.c.study_id,
                measured.c.trial == trial.c.number,
                measured.c.epoch == trial.c.epochs,
            ),
        )
        .where(trial.c.study_id == _STUDY, trial.c.state == TrialState.RUNNING)
        .order_by(trial.c.number)
    )


def _running(connection: Connection, study_id: int) -> list[RunningTrial]:
    return [
        RunningTrial(
            number=row.number, params=row.params, epochs=row.epochs, granted=row.granted, bracket=row.bracket,
            value=row.latest,
        )
        for row in connection.execute(_running_query(), {"study": study_id})
    ]  # fmt: skip


@cache
def _notices_query() -> sa.Select[Any]:
    event = tables.event.c
    return sa.select(event.data).where(event.study_id == _STUDY, event.kind == "noticed").order_by(event.seq)


def _notices(connection: Connection, study_id: int) -> list[str]:
    return [row.data["message"] for row in connection.execute(_notices_query(), {"study": study_id})]


def read_test_metrics(row: sa.Row[Any]) -> dict[str, float] | None:
    """Of the model that the study has now; another one's are none."""
    if row.test_metrics is None or row.tested_uri != row.model_uri:
        return None
    return {name: float(value) for name, value in row.test_metrics.items()}


def _combined(connection: Connection, study_id: int, best: BestTrial | None) -> Combined | None:
    """What was combined with the trial that is the best one now."""
    event = tables.event
    of_study = sa.select(event.c.seq, event.c.data).where(event.c.study_id == study_id).order_by(event.c.seq.desc())
    latest = connection.execute(of_study.where(event.c.kind == "combined").limit(1)).one_or_none()
    if latest is None or best is None:
        return None
    end = of_study.where(event.c.kind == "ended", event.c.trial == best.number).limit(1)
    ended = connection.execute(end).one_or_none()
    if ended is None or ended.seq > latest.seq:
        return None  # it was the best only after that
    found = event_from("combined", latest.data)
    assert isinstance(found, Combined)
    return found


def _frame(connection: Connection, table: sa.Table, study_id: int, order: list[str]) -> pd.DataFrame:
    import pandas as pd

    query = sa.select(table).where(table.c.study_id == study_id).order_by(*(table.c[name] for name in order))
    rows = connection.execute(query)
    return pd.DataFrame(rows.all(), columns=list(rows.keys()))


def _measurements(connection: Connection, study_id: int) -> pd.DataFrame:
    import pandas as pd

    measured = tables.measurement.c
    columns = {
        "trial": Column(measured.trial, "integer"),
        "epoch": Column(measured.epoch, "integer"),
        "value": Column(measured.value, "double"),
        "seconds": Column(measured.seconds, "double"),
        "learning_rate": Column(measured.learning_rate, "double"),
        "attempt": Column(measured.attempt, "integer"),
        "created_at": Column(measured.created_at, "time"),
    }
    keys = connection.execute(_logged_keys_query(), {"study": study_id}).scalars()
    logs = {key: Column(measured.metrics[key].as_string(), "double") for key in keys if key not in columns}
    found = read_columns(connection, sa.select().where(measured.study_id == study_id), columns | logs)
    frame = pd.DataFrame(found).sort_values(["trial", "epoch"], ignore_index=True)
    whole = ["trial", "epoch", "attempt"]
    return frame.astype(dict.fromkeys(whole, "int64")).assign(created_at=frame["created_at"].dt.tz_localize("UTC"))


@cache
def _logged_keys_query() -> sa.Select[Any]:
    """The keys of all epochs' logs, in the order in which JSONB keeps them."""
    measured = tables.measurement.c
    key = sa.func.jsonb_object_keys(measured.metrics).table_valued("key").render_derived()
    logged = (
        sa.select(key.c.key).select_from(tables.measurement).join(key, sa.true()).where(measured.study_id == _STUDY)
    )
    keys = logged.distinct().subquery()
    return sa.select(keys.c.key).order_by(sa.func.octet_length(keys.c.key), keys.c.key.collate("C"))


def _trials(connection: Connection, study_id: int, spec: StudySpec, measurements: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    frame = _frame(connection, tables.trial, study_id, ["number"])
    seconds = measurements.groupby("trial")["seconds"].sum()
    frame["seconds"] = frame["number"].map(seconds).fillna(0.0).astype(float)
    frame = frame.rename(columns={"attempt": "attempts"})
    frame["epochs"] -= frame["from_epoch"]
    ours = ["number", "state", "reason", "message", "value", "best_epoch", "epochs", "seconds", "bracket", "attempts"]
    ours += ["parent", "from_epoch", "origin"]
    params = pd.DataFrame(
        {f"params_{name}": [values.get(name) for values in frame["params"]] for name, _, _ in spec.space.flat()},
        index=frame.index,
    )
    return pd.concat([frame[[*ours, "created_at", "ended_at"]], params], axis=1)
