"""The code that a study's epochs were trained with.

Knows which events tell it. Must not know sources, nor what becomes of a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.store.reading.replays import read_replayed_code
from bandstand.study.study_spec import StudySpec
from bandstand.trials.code_fingerprint import CodePrint

__all__ = ["TrainedCode", "read_trained_code"]


@dataclass(frozen=True, kw_only=True)
class TrainedCode:
    """The code of a study that has trained."""

    study: str
    code: CodePrint


def read_trained_code(connection: Connection, spec: StudySpec) -> TrainedCode | None:
    """The fingerprint of the code that has trained the latest epochs of a study.

    Before its first epoch that is the code of the study that it replays, if it is a replay.

    Returns:
        None where nothing was trained, or where the study is older than such fingerprints.
    """
    replayed = _replayed_by(spec)
    found = _code_of(connection, spec.name) or _code_of(connection, replayed)
    if found is None and replayed:  # a job sees no row of another study
        data = read_replayed_code(connection, spec.name)
        return None if data is None else _trained(replayed, data)
    return found


def _replayed_by(spec: StudySpec) -> str:
    return str(spec.sampler_options.get("study", "")) if spec.sampler == "replay" else ""


def _code_of(connection: Connection, name: str) -> TrainedCode | None:
    study, event, measurement = tables.study, tables.event, tables.measurement
    trained = sa.exists().where(measurement.c.study_id == study.c.id)
    query = (
        sa.select(event.c.data)
        .join(study, study.c.id == event.c.study_id)
        .where(study.c.name == name, event.c.kind == "code_seen", trained)
        .order_by(event.c.seq.desc())
        .limit(1)
    )
    data = connection.execute(query).scalar()
    return None if data is None else _trained(name, data)


def _trained(name: str, data: Mapping[str, Any]) -> TrainedCode:
    return TrainedCode(study=name, code=CodePrint(python=data["python"], parts=dict(data["parts"])))
