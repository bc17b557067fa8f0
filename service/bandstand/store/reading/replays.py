"""Replays: schedules that were trained again from fresh weights, each beside the trial that it came from.

Knows which study replays which trial, and how both came out. Must not know how a replay is made or run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.store.reading.study_list import read_summaries
from bandstand.store.records import Replayed

__all__ = ["read_replayed_code", "read_replayed_data", "read_replays"]

_REPLAYED = sa.text(f"SELECT {tables.SCHEMA}.replayed(:name, :fingerprint)").columns(data=sa.JSON)
"""Asked by a function, because the job of a replay sees no row of the study that it replays."""


def read_replays(connection: Connection, row: sa.Row[Any]) -> list[Replayed]:
    """Every replay of a trial of the study in `row`, the oldest first, and before them what it replays itself."""
    found = connection.execute(_replays_query(), {"id": row.id, "name": row.name}).all()
    if not found:
        return []
    studies = {study.name: study for study in read_summaries(connection, names=[each.name for each in found])}
    return [
        Replayed(
            study=each.study,
            trial=each.trial,
            metric=studies[each.name].metric,
            value=each.value,
            replay=each.name,
            replay_state=studies[each.name].state,
            replay_value=studies[each.name].best_value,
        )
        for each in found
        if each.name in studies  # it may have been deleted a moment ago
    ]


def read_replayed_data(connection: Connection, name: str) -> dict[str, Any] | None:
    """The fingerprint of the data of the study that the study `name` replays.

    Returns:
        A `DataPrint`; None where it replays none, or none whose fingerprint is known.
    """
    data = connection.execute(_REPLAYED, {"name": name, "fingerprint": "data_seen"}).scalar()
    return None if data is None else dict(data["splits"])


def read_replayed_code(connection: Connection, name: str) -> dict[str, Any] | None:
    """The fingerprint of the code that has trained the study that the study `name` replays; as its event has it."""
    data: dict[str, Any] | None = connection.execute(_REPLAYED, {"name": name, "fingerprint": "code_seen"}).scalar()
    return data


@cache
def _replays_query() -> sa.Select[Any]:
    """A study is known by its name, so that one deleted and made anew is told by its later id."""
    replay, original, trial = tables.study, tables.study.alias("original"), tables.trial
    study = replay.c.spec["sampler_options"]["study"].as_string()
    number = replay.c.spec["sampler_options"]["trial"].as_integer()
    this = sa.bindparam("id", type_=sa.BigInteger)
    return (
        sa.select(replay.c.name, study.label("study"), number.label("trial"), trial.c.value)
        .outerjoin(original, sa.and_(original.c.name == study, original.c.id < replay.c.id))
        .outerjoin(trial, sa.and_(trial.c.study_id == original.c.id, trial.c.number == number))
        .where(
            replay.c.id >= this,
            replay.c.spec["sampler"].as_string() == "replay",
            study != "",
            number.is_not(None),  # without both it was written by hand
            sa.or_(replay.c.id == this, study == sa.bindparam("name")),
        )
        .order_by(replay.c.id)
    )
