"""A study's best trial as it is read: the rule of `bandstand.trials.best` in SQL.

Knows the rows of tables `trial` and `measurement`. Must not know who asks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.problem.objective import Objective
from bandstand.store import tables
from bandstand.study.study_spec import StudySpec
from bandstand.trials.best import BestTrial, Seen
from bandstand.trials.events import RESULT_STATES, TrialState

__all__ = ["counts", "order_of_places", "read_best", "read_full_state"]

NOT_FINITE = ("nan", "inf", "-inf")
"""Numbers that JSON has no word for, as they are stored."""
_STUDY = sa.bindparam("study", type_=sa.BigInteger)
_TRIAL = tables.trial.c
_IS_PRUNED = _TRIAL.state == TrialState.PRUNED


def counts(takes_last: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a row of `trial` has a place at all.

    Args:
        takes_last: whether the study's objective takes each trial's last epoch.
    """
    return sa.and_(_TRIAL.value.is_not(None), sa.or_(sa.not_(takes_last), _TRIAL.state.in_(RESULT_STATES)))


def order_of_places(
    takes_last: sa.ColumnElement[bool], is_loss: sa.ColumnElement[bool]
) -> tuple[sa.ColumnElement[Any], ...]:
    """What to order rows that count by, the best first.

    Args:
        takes_last: as in `counts`.
        is_loss: whether the study minimizes.
    """
    loss = sa.case((is_loss, _TRIAL.value), else_=-_TRIAL.value)
    return sa.case((sa.and_(takes_last, _IS_PRUNED), 1), else_=0), loss, _TRIAL.number


def read_best(connection: Connection, row: sa.Row[Any], spec: StudySpec) -> BestTrial | None:
    """The best trial of the study in `row` so far."""
    objective = spec.objective
    best = connection.execute(_best_query(objective.direction, objective.epoch), {"study": row.id}).one_or_none()
    if best is None:
        return None
    epoch = best.best_epoch if objective.epoch == "best" else best.epochs
    has_model = row.model_trial == best.number and row.model_epoch in (None, epoch)
    return BestTrial(
        number=best.number,
        params={name: best.params[name] for name, _, _ in spec.space.flat() if name in best.params},
        value=best.value,
        epoch=epoch,
        epochs=best.epochs,
        state=best.state,
        model_path=row.model_uri if has_model else None,
        seen=_better_seen(connection, row.id, objective, best.value) if objective.epoch == "last" else None,
    )


def read_full_state(connection: Connection, study_id: int, objective: Objective) -> str | None:
    """The state of the trials that are full results, as `bandstand.trials.best.full_results`; None while none counts.

    Of an objective that takes each trial's best epoch every trial is one; the state is then that of the best.
    """
    best = connection.execute(_best_query(objective.direction, objective.epoch), {"study": study_id}).one_or_none()
    return None if best is None else str(best.state)


def _better_seen(connection: Connection, study_id: int, objective: Objective, than: float) -> Seen | None:
    """The best epoch of all, if its value is better than that which counts."""
    seen = connection.execute(_seen_query(objective.direction), {"study": study_id}).one_or_none()
    return Seen(**seen._mapping) if seen is not None and objective.is_better(seen.value, than) else None


@cache
def _best_query(direction: str, epoch: str) -> sa.Select[Any]:
    trial, takes_last = tables.trial, sa.literal(epoch == "last")
    return (
        sa.select(trial)
        .where(trial.c.study_id == _STUDY, counts(takes_last))
        .order_by(*order_of_places(takes_last, sa.literal(direction == "minimize")))
        .limit(1)
    )


def _epoch_counts() -> tuple[sa.ColumnElement[bool], ...]:
    """As `bandstand.trials.best.epoch_counts`, of a row of `measurement`; PostgreSQL sorts NaN above infinity."""
    value, metrics = tables.measurement.c.value, tables.measurement.c.metrics
    loss = sa.func.coalesce(metrics["loss"].as_string(), "0")
    return value > float("-inf"), value < float("inf"), loss.not_in(NOT_FINITE)


@cache
def _seen_query(direction: str) -> sa.Select[Any]:
    trial, measured = tables.trial, tables.measurement
    of_trial = sa.and_(trial.c.study_id == measured.c.study_id, trial.c.number == measured.c.trial)
    order = measured.c.value.asc() if direction == "minimize" else measured.c.value.desc()
    return (
        sa.select(measured.c.value, trial.c.number, measured.c.epoch, trial.c.state)
        .join(trial, of_trial)
        .where(measured.c.study_id == _STUDY, *_epoch_counts())
        .order_by(order, trial.c.number, measured.c.epoch)
        .limit(1)
    )
