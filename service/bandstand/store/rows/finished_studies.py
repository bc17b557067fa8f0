"""Finished studies that a comparison may take over, because they are what it would run.

Knows specs, and where studies stand. Must not know comparisons' plans.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store import tables
from bandstand.study.study_spec import StudySpec

__all__ = ["read_finished_like"]


def read_finished_like(connection: Connection, specs: Sequence[StudySpec]) -> dict[str, list[str]]:
    """For each of the specs' names the finished studies that differ from it in names and notes only, newest first.

    Where the data of a name have changed since, as the fingerprint of the latest study with them says, studies of the
    old ones are left out.
    """
    study = tables.study.c
    granted = sa.select(tables.event.c.study_id).where(tables.event.c.kind.in_(("extended", "enqueued")))
    query = sa.select(study.name, study.spec, study.state, study.environment).order_by(study.id.desc())
    rows = connection.execute(query.where(study.id.not_in(granted))).all()  # those had more than their specs say
    loaders = {spec.data for spec in specs}
    latest: dict[str, str] = {}
    finished: dict[str, list[str]] = {}
    for row in rows:
        loader, fingerprint = row.spec["data"], (row.environment or {}).get("data", "")
        if fingerprint:
            latest.setdefault(loader, fingerprint)
        if row.state == "finished" and loader in loaders and fingerprint in ("", latest.get(loader, "")):
            finished.setdefault(_settings_of(StudySpec.model_validate(row.spec)), []).append(row.name)
    return {spec.name: finished.get(_settings_of(spec), []) for spec in specs}


def _settings_of(spec: StudySpec) -> str:
    """All settings but name and notes, as text: the order of a space's parameters is one of them."""
    return json.dumps(spec.model_dump(mode="json", exclude={"name", "notes"}))
