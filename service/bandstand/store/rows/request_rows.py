"""Requests: what a user may ask of a study that exists, whether it runs or not.

A study's coordinator is the only writer of its events, so a request is a row that the coordinator takes in. Knows
which ones can be granted, and their rows. Must not know what they change.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import InputError
from bandstand.problem.budget import Budget
from bandstand.store import tables
from bandstand.store.records import StudyRequest
from bandstand.strategies import make_strategy
from bandstand.study.study_spec import StudySpec
from bandstand.trials.ledger import extended
from bandstand_spaces import Categorical, Float, Int, SearchSpace

__all__ = [
    "check_extension",
    "checked_params",
    "open_requests",
    "params_from",
    "read_budget",
    "read_requests",
    "write_request",
]


def check_extension(spec: StudySpec, budget: Budget, wanted: Budget) -> None:
    """Refuse what cannot be granted.

    Args:
        spec: the study.
        budget: what it may spend now.
        wanted: new totals of some limits.

    Raises:
        InputError: one line.
    """
    _check_executor(spec)
    try:
        extended(budget, wanted)
    except ValueError as error:
        raise InputError(f"{spec.name}: {error}") from None


def checked_params(spec: StudySpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a trial that a study can try, in the order of its space; whole numbers become floats where due.

    Raises:
        InputError: one line.
    """
    _check_executor(spec)
    closed = make_strategy(spec).closed
    if closed:
        raise InputError(
            f"{spec.name}: the sampler {spec.sampler} takes no trials from users: {closed}; try these params in "
            "another study"
        )
    kinds = {name: parameter for name, parameter, _ in spec.space.flat()}
    params = {
        name: float(value) if isinstance(kinds.get(name), Float) and type(value) is int else value
        for name, value in params.items()
    }
    try:
        spec.space.check(params)
    except ValueError as error:
        raise InputError(f"{spec.name}: {error}") from None
    return {name: params[name] for name in kinds if name in params}


def params_from(space: SearchSpace, texts: Mapping[str, str]) -> dict[str, Any]:
    """Params from texts such as a command line has, each read as its parameter's kind of value."""
    kinds = {name: parameter for name, parameter, _ in space.flat()}
    return {name: _value_from(kinds.get(name), text) for name, text in texts.items()}


def _value_from(parameter: Float | Int | Categorical | None, text: str) -> Any:
    """What cannot be read stays a text, which the space then refuses by its rule."""
    if isinstance(parameter, Categorical):
        words = {str(choice): choice for choice in parameter.choices}
        return words.get(text, words.get(text.capitalize(), text))
    try:
        return int(text) if isinstance(parameter, Int) else float(text) if parameter else text
    except ValueError:
        return text


def _check_executor(spec: StudySpec) -> None:
    if spec.executor == "tune":
        raise InputError(
            f"{spec.name}: a study under Ray Tune cannot be extended and takes no trials from users, because Ray Tune "
            'plans all its work at the start; run a new study with executor = "actors"'
        )


# -- rows -----------------------------------------------------------------------------------------------------------


def write_request(connection: Connection, study_id: int, kind: str, data: Mapping[str, Any], by: str | None) -> int:
    """Store a request that was found to be sound; returns its number."""
    row = {"study_id": study_id, "kind": kind, "data": dict(data), "by": by or ""}
    return int(connection.execute(sa.insert(tables.request).values(row).returning(tables.request.c.id)).scalar_one())


def read_requests(connection: Connection, study_id: int) -> list[StudyRequest]:
    """All of a study's requests, the oldest first."""
    of_study = sa.select(tables.request).where(tables.request.c.study_id == study_id).order_by(tables.request.c.id)
    return [_request_from(row._mapping) for row in connection.execute(of_study)]


def open_requests(connection: Connection, study_id: int) -> list[StudyRequest]:
    """Those that no coordinator has taken in."""
    return [request for request in read_requests(connection, study_id) if request.taken_at is None]


def read_budget(connection: Connection, study_id: int, spec: StudySpec) -> Budget:
    """What a study may spend now: as its spec says, or as it was extended."""
    data = connection.execute(_extension_query(), {"study": study_id}).scalar()
    return spec.budget if data is None else spec.budget.model_copy(update=dict(data["budget"]))


@cache
def _extension_query() -> sa.Select[Any]:
    event, request, study = tables.event.c, tables.request.c, sa.bindparam("study", type_=sa.BigInteger)
    was_extended = sa.exists().where(
        request.study_id == study, request.kind == "extend", request.taken_at.is_not(None)
    )  # else all events would be gone through in vain
    query = sa.select(event.data).where(event.study_id == study, event.kind == "extended", was_extended)
    return query.order_by(event.seq.desc()).limit(1)


def _request_from(row: Any) -> StudyRequest:
    columns = {name: row[name] for name in ("id", "kind", "data", "created_at", "taken_at")}
    return StudyRequest(**columns, by=row["by"] or None, answer=row["answer"] or None)
