"""What the front page lists: studies and comparisons as one list, a page of it at a time, and the queue.

Knows the tables of studies, comparisons and submissions. Must not know how a page looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.api.pages.words import duration
from bandstand.problem.objective import Objective
from bandstand.report.text import counted
from bandstand.store import tables
from bandstand.store.reading.study_list import StudySummary, read_summaries
from bandstand.study.states import StudyState

__all__ = [
    "PAGE_SIZE",
    "STATES",
    "ComparedStudy",
    "Listing",
    "ListingLine",
    "read_entry_state",
    "read_listing",
    "read_members",
]

PAGE_SIZE = 50
STATES = (
    StudyState.RUNNING, StudyState.STARTING, StudyState.QUEUED, StudyState.STOPPING, StudyState.STOPPED,
    StudyState.INTERRUPTED, StudyState.FINISHED, StudyState.FAILED,
)  # fmt: skip
"""Of a study as a server sees it: `starting` is a job without a coordinator yet, `interrupted` has lost its own."""

_S = tables.SCHEMA
_STANDINGS = f"""
WITH held AS MATERIALIZED (
    SELECT objid::bigint AS id FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = {tables.LEASE_CLASS}
    AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), member AS (
    SELECT study.id, comparison.id AS comparison FROM {_S}.study study
    JOIN {_S}.comparison comparison ON starts_with(study.name, comparison.name || '/')
), standing AS (
    SELECT study.id, study.name, study.created_at, submission.submitter, CASE
        WHEN study.state IN ('finished', 'failed', 'stopped') THEN study.state
        WHEN submission.state = 'stopping' THEN 'stopping'
        WHEN held.id IS NOT NULL THEN 'running'
        WHEN submission.state = 'running' AND (submission.kind = 'study' OR study.state = 'running') THEN 'starting'
        WHEN submission.state = 'queued' OR study.state = 'queued' THEN 'queued'
        ELSE 'interrupted' END AS state
    FROM {_S}.study study LEFT JOIN held ON held.id = study.id
    LEFT JOIN {_S}.submission_study part ON part.study_id = study.id
    LEFT JOIN {_S}.submission submission ON submission.id = part.submission_id
), whole AS (
    SELECT comparison.id, comparison.name, comparison.created_at, submission.submitter,
        json_array_length(comparison.arms) * comparison.repeats AS studies,
        (SELECT count(*) FROM {_S}.comparison_study taken WHERE taken.comparison_id = comparison.id)
        + count(*) FILTER (WHERE standing.state = 'finished') AS finished,
        bool_or(standing.state = 'running') AS runs, bool_or(standing.state = 'failed') AS failed,
        bool_or(standing.state = 'interrupted') AS interrupted, submission.state AS submission
    FROM {_S}.comparison comparison
    LEFT JOIN {_S}.submission submission ON submission.name = comparison.name AND submission.kind = 'comparison'
    LEFT JOIN member ON member.comparison = comparison.id LEFT JOIN standing ON standing.id = member.id
    GROUP BY comparison.id, submission.id
), entry AS (
    SELECT 'study' AS kind, id, name, created_at, submitter, state, 1 AS studies, 0 AS finished FROM standing
    WHERE id NOT IN (SELECT id FROM member)
    UNION ALL SELECT 'comparison', id, name, created_at, submitter, CASE
        WHEN submission = 'stopping' THEN 'stopping'
        WHEN runs OR (submission = 'running' AND finished > 0) THEN 'running'
        WHEN submission = 'running' THEN 'starting' WHEN submission = 'queued' THEN 'queued'
        WHEN finished >= studies THEN 'finished' WHEN failed THEN 'failed'
        WHEN interrupted THEN 'interrupted' ELSE 'stopped' END, studies, finished FROM whole
)
"""
"""A study's state takes in what its submission says and whether a coordinator holds its lock."""
_OWN = "(CAST(:submitter AS text) IS NULL OR submitter = :submitter)"


@dataclass(frozen=True, kw_only=True)
class ListingLine:
    """A line of the list: a study, or a comparison with all of its studies."""

    kind: Literal["study", "comparison"]
    name: str
    state: StudyState
    submitter: str | None
    created_at: datetime
    strategy: str
    metric: str
    better: str
    """Which way the metric is, in words."""
    best: float | None
    used: float | None
    """Of the budget, 0 to 1; of a comparison, its finished studies; None where nothing is limited."""
    spent: str
    """The same in words."""
    trials: int
    epochs: int
    wall_seconds: float
    gpu_seconds: float
    optuna_study_id: int | None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A page of the list."""

    entries: Sequence[ListingLine]
    total: int
    """Entries on all pages."""
    counts: Mapping[StudyState, int]
    """Of each state, whichever is shown."""
    everything: int
    """Entries that there are, whoever's and in whatever state."""


def read_listing(
    connection: Connection, *, state: StudyState | None = None, submitter: str | None = None, page: int = 1
) -> Listing:
    """A page of the list, the newest first.

    Args:
        connection: to the database.
        state: show only those; all when left out.
        submitter: show only what this user submitted; everybody's when left out.
        page: from 1.
    """
    given = {"state": state, "submitter": submitter, "limit": PAGE_SIZE, "offset": (page - 1) * PAGE_SIZE}
    rows = connection.execute(
        sa.text(
            f"{_STANDINGS} SELECT * FROM entry WHERE (CAST(:state AS text) IS NULL OR state = :state) AND {_OWN} "
            "ORDER BY created_at DESC, name LIMIT :limit OFFSET :offset"
        ),
        given,
    ).all()
    counted = connection.execute(
        sa.text(
            f"{_STANDINGS} SELECT state, count(*) AS entries, count(*) FILTER (WHERE {_OWN}) AS own FROM entry "
            "GROUP BY state"
        ),
        given,
    ).all()
    counts = {StudyState(row.state): row.own for row in counted}
    return Listing(
        entries=_entries(connection, rows),
        total=sum(counts.values()) if state is None else counts.get(state, 0),
        counts=counts,
        everything=sum(row.entries for row in counted),
    )


def read_entry_state(connection: Connection, kind: Literal["study", "comparison"], name: str) -> StudyState | None:
    """The state of a study, also of one within a comparison, or of a comparison; None if there is none."""
    source = "standing" if kind == "study" else "entry"
    where = "name = :name" if kind == "study" else "name = :name AND kind = 'comparison'"
    query = sa.text(f"{_STANDINGS} SELECT state FROM {source} WHERE {where}")
    found = connection.execute(query, {"name": name}).scalar()
    return None if found is None else StudyState(found)


@dataclass(frozen=True, kw_only=True)
class ComparedStudy:
    """One study of a comparison."""

    name: str
    state: StudyState | None
    """None: it has not begun."""
    best: float | None
    trials: int
    epochs: int


def read_members(connection: Connection, names: Sequence[str]) -> dict[str, ComparedStudy]:
    """The studies of a comparison by name, also those that are not there yet."""
    query = sa.text(f"{_STANDINGS} SELECT name, state FROM standing WHERE name = ANY(:names)")
    states = {row.name: StudyState(row.state) for row in connection.execute(query, {"names": list(names)})}
    found = {summary.name: summary for summary in read_summaries(connection, names=names)}
    return {
        name: ComparedStudy(
            name=name,
            state=states[name],
            best=found[name].best_value,
            trials=found[name].trials,
            epochs=found[name].epochs,
        )
        if name in states and name in found
        else ComparedStudy(name=name, state=None, best=None, trials=0, epochs=0)
        for name in names
    }


def _entries(connection: Connection, rows: Sequence[sa.Row[Any]]) -> list[ListingLine]:
    wholes = [row.id for row in rows if row.kind == "comparison"]
    specs = sa.select(tables.comparison.c.id, tables.comparison.c.spec).where(tables.comparison.c.id.in_(wholes))
    objectives = {row.id: Objective.model_validate(row.spec["objective"]) for row in connection.execute(specs)}
    query = sa.text(
        f"{_STANDINGS} SELECT comparison, name FROM member JOIN standing USING (id) WHERE comparison = ANY(:wholes)"
    )
    members = connection.execute(query, {"wholes": wholes}).all() if wholes else []
    names = [row.name for row in rows if row.kind == "study"]
    found = {
        summary.name: summary
        for summary in read_summaries(connection, names=[*names, *(member.name for member in members)])
    }
    study = tables.study.c
    of_optuna = connection.execute(sa.select(study.name, study.optuna_study_id).where(study.name.in_(names)))
    optuna = {row.name: int(row.optuna_study_id) for row in of_optuna}
    entries = []
    for row in rows:
        if row.kind == "comparison":
            own = [found[member.name] for member in members if member.comparison == row.id and member.name in found]
            entries.append(_comparison_entry(row, objectives[row.id], own))
        elif row.name in found:
            entries.append(_study_entry(row, found[row.name], optuna[row.name]))
    return entries


def _study_entry(row: sa.Row[Any], summary: StudySummary, optuna_study_id: int) -> ListingLine:
    return ListingLine(
        kind="study", name=row.name, state=StudyState(row.state), submitter=row.submitter, created_at=row.created_at,
        strategy=summary.strategy, metric=summary.metric, better=summary.better, best=summary.best_value,
        used=summary.budget_used, spent=_spent(summary), trials=summary.trials, epochs=summary.epochs,
        wall_seconds=summary.wall_seconds, gpu_seconds=summary.gpu_seconds, optuna_study_id=optuna_study_id,
    )  # fmt: skip


def _spent(summary: StudySummary) -> str:
    """What was spent of what, in words."""
    parts = [f"{_amount(name, spent)} of {_limit(name, limit)}" for name, (spent, limit) in summary.spent.items()]
    return ", ".join(parts) or "the grid"


def _amount(name: str, spent: float) -> str:
    if name == "wall_seconds":
        return duration(spent)
    return f"{spent:.2g}" if name == "gpu_hours" else f"{spent:,}"


def _limit(name: str, limit: float) -> str:
    if name == "wall_seconds":
        return duration(limit)
    return f"{limit:,g} GPU hours" if name == "gpu_hours" else f"{limit:,} {name}"


def _comparison_entry(row: sa.Row[Any], objective: Objective, studies: Sequence[StudySummary]) -> ListingLine:
    spent = f"{row.finished} of {counted(row.studies, 'study', 'studies')} finished"
    return ListingLine(
        kind="comparison", name=row.name, state=StudyState(row.state), submitter=row.submitter,
        created_at=row.created_at, strategy="comparison", metric=objective.metric, better=objective.better, best=None,
        used=min(1.0, row.finished / max(1, row.studies)),
        spent=spent, trials=sum(study.trials for study in studies),
        epochs=sum(study.epochs for study in studies), wall_seconds=sum(study.wall_seconds for study in studies),
        gpu_seconds=sum(study.gpu_seconds for study in studies), optuna_study_id=None,
    )  # fmt: skip
