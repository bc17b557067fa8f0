"""Reads what a page about one study says of it, in a number of queries and rows that does not grow with the study.

Knows the tables and the record that readers get. Must not know how it is printed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.store.reading.views import read_facts
from bandstand.store.records import Failure, StudyOverview, TopTrial
from bandstand.store.rows.best_rows import counts, order_of_places
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS

__all__ = ["read_overview"]

_STUDY = sa.bindparam("study", type_=sa.BigInteger)
_TOP = 10
_FAILURES = 20
_SAMPLE = 200
"""Trials of each sort whose params are read, to tell where in the space trials fail."""
_NUMBERS = 9
"""Of trials that failed alike: one more than is shown, so that it is seen whether there are more."""


def read_overview(connection: Connection, row: sa.Row[Any]) -> StudyOverview:
    """The overview of the study in `row`."""
    facts = read_facts(connection, row)
    states = connection.execute(_states_query(), {"study": row.id}).all()
    failures = connection.execute(_failures_query(), {"study": row.id}).all()
    failed = sum(each.trials for each in states if each.state == TrialState.FAILED)
    best = facts["best"]
    ancestors = () if best is None else connection.execute(_ancestors_query(), {"study": row.id, "of": best.number})
    return StudyOverview(
        **facts,
        counts={each.state: each.trials for each in states},
        epochs=int(sum(each.epochs for each in states)),
        top=_top(connection, row.id, facts["spec"]),
        failures=[_failure(connection, row.id, each) for each in failures],
        other_failures=failed - sum(int(each._mapping["count"]) for each in failures),
        best_ancestors=[each.number for each in ancestors],
    )


def _failure(connection: Connection, study_id: int, found: sa.Row[Any]) -> Failure:
    """Failed trials alike; where params decide it, with the params of some of them and of some others."""
    failed: list[Any] = []
    sound: list[Any] = []
    if found.reason in FAILURE_KINDS:
        trial = tables.trial.c
        of_study = sa.select(trial.params).where(trial.study_id == study_id).order_by(trial.number).limit(_SAMPLE)
        fails = sa.and_(trial.state == TrialState.FAILED, trial.reason == found.reason)
        failed = list(connection.execute(of_study.where(fails)).scalars())
        sound = list(connection.execute(of_study.where(trial.reason != found.reason, trial.epochs > 0)).scalars())
    return Failure(
        reason=found.reason,
        message=found.message,
        same_message=found.messages == 1,
        count=int(found._mapping["count"]),
        trials=found.numbers,
        failed_params=failed,
        sound_params=sound,
    )


def _top(connection: Connection, study_id: int, spec: StudySpec) -> list[TopTrial]:
    objective, trial = spec.objective, tables.trial
    takes_last, is_loss = sa.literal(objective.epoch == "last"), sa.literal(objective.direction == "minimize")
    query = (
        sa.select(trial)
        .where(trial.c.study_id == study_id, counts(takes_last))
        .order_by(*order_of_places(takes_last, is_loss))
        .limit(_TOP)
    )
    names = [name for name, _, _ in spec.space.flat()]
    return [
        TopTrial(
            number=found.number,
            state=found.state,
            value=found.value,
            epochs=found.epochs - found.from_epoch,
            params={name: found.params[name] for name in names if name in found.params},
        )
        for found in connection.execute(query)
    ]


@cache
def _states_query() -> sa.Select[Any]:
    trial = tables.trial.c
    count, epochs = sa.func.count().label("trials"), sa.func.sum(trial.epochs - trial.from_epoch).label("epochs")
    return (
        sa.select(trial.state, count, epochs)
        .where(trial.study_id == _STUDY)
        .group_by(trial.state)
        .order_by(count.desc(), trial.state)
    )


@cache
def _failures_query() -> sa.Select[Any]:
    """The most frequent ways of failing, each with the first trials that failed so."""
    trial = tables.trial.c
    way = sa.case((trial.reason.in_(sorted(FAILURE_KINDS)), ""), else_=trial.message)
    count = sa.func.count().label("count")
    numbers = sa.type_coerce(
        sa.func.array_agg(sa.dialects.postgresql.aggregate_order_by(trial.number, trial.number)), sa.ARRAY(sa.Integer)
    )
    return (
        sa.select(
            trial.reason,
            sa.func.min(trial.message).label("message"),
            sa.func.count(trial.message.distinct()).label("messages"),
            count,
            numbers[1:_NUMBERS].label("numbers"),
        )
        .where(trial.study_id == _STUDY, trial.state == TrialState.FAILED)
        .group_by(trial.reason, way)
        .order_by(count.desc(), sa.func.min(trial.number))
        .limit(_FAILURES)
    )


@cache
def _ancestors_query() -> sa.Select[Any]:
    """The trials whose weights a trial went on from, the oldest first: one that began afresh has none."""
    trial = tables.trial.c
    known = [trial.number, trial.parent, trial.from_epoch]
    begin = sa.select(*known, sa.literal(0).label("steps"))
    line = begin.where(trial.study_id == _STUDY, trial.number == sa.bindparam("of")).cte("line", recursive=True)
    above = sa.select(*known, line.c.steps + 1).select_from(tables.trial)
    above = above.join(line, sa.and_(trial.number == line.c.parent, line.c.from_epoch > 0))
    line = line.union_all(above.where(trial.study_id == _STUDY))
    return sa.select(line.c.number).where(line.c.steps > 0).order_by(line.c.steps.desc())
