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

from service import tables
from service.live import budget_spent, budget_used
from service.requests import read_budget
from service.study import Budget, StudySpec
from service.views import StudyProgress

__all__ = ["PAGE_SIZE", "STATES", "Entry", "Listing", "Member", "read_entry_state", "read_listing", "read_members"]

PAGE_SIZE = 50
STATES = ("running", "starting", "queued", "stopping", "stopped", "interrupted", "finished", "failed")
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
_DETAILS = f"""
SELECT trial.study_id, count(*) AS trials,
    count(*) FILTER (WHERE trial.state IN ('complete', 'pruned', 'failed')) AS ended,
    coalesce(sum(trial.epochs - trial.from_epoch), 0) AS epochs,
    min(trial.value) FILTER (WHERE trial.state = 'complete') AS least_complete,
    max(trial.value) FILTER (WHERE trial.state = 'complete') AS most_complete,
    min(trial.value) FILTER (WHERE trial.state = 'pruned') AS least_pruned,
    max(trial.value) FILTER (WHERE trial.state = 'pruned') AS most_pruned
FROM {_S}.trial trial WHERE trial.study_id = ANY(:studies) GROUP BY trial.study_id
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the list: a study, or a comparison with all of its studies."""

    kind: Literal["study", "comparison"]
    name: str
    state: str
    submitter: str | None
    created_at: datetime
    strategy: str
    metric: str
    best: float | None
    used: float
    """Of the budget, 0 to 1; of a comparison, its finished studies."""
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

    entries: Sequence[Entry]
    total: int
    """Entries on all pages."""
    counts: Mapping[str, int]
    """Of each state, whichever is shown."""
    everything: int
    """Entries that there are, whoever's and in whatever state."""


def read_listing(connection: Connection, *, state: str = "", submitter: str = "", page: int = 1) -> Listing:
    """A page of the list, the newest first.

    Args:
        connection: to the database.
        state: show only those; all when empty.
        submitter: show only what this user submitted; everybody's when empty.
        page: from 1.
    """
    given = {"state": state, "submitter": submitter, "limit": PAGE_SIZE, "offset": (page - 1) * PAGE_SIZE}
    rows = connection.execute(
        sa.text(
            f"{_STANDINGS} SELECT * FROM entry WHERE (:state = '' OR state = :state) AND (:submitter = '' OR submitter "
            "= :submitter) ORDER BY created_at DESC, name LIMIT :limit OFFSET :offset"
        ),
        given,
    ).all()
    counted = connection.execute(
        sa.text(
            f"{_STANDINGS} SELECT state, count(*) AS entries, count(*) FILTER (WHERE :submitter = '' OR submitter = "
            ":submitter) AS own FROM entry GROUP BY state"
        ),
        given,
    ).all()
    counts = {row.state: row.own for row in counted}
    return Listing(
        entries=_entries(connection, rows),
        total=counts.get(state, 0) if state else sum(counts.values()),
        counts=counts,
        everything=sum(row.entries for row in counted),
    )


def read_entry_state(connection: Connection, kind: Literal["study", "comparison"], name: str) -> str:
    """The state of a study, also of one within a comparison, or of a comparison; empty if there is none."""
    source = "standing" if kind == "study" else "entry"
    where = "name = :name" if kind == "study" else "name = :name AND kind = 'comparison'"
    query = sa.text(f"{_STANDINGS} SELECT state FROM {source} WHERE {where}")
    return str(connection.execute(query, {"name": name}).scalar() or "")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One study of a comparison."""

    name: str
    state: str
    """Empty: it has not begun."""
    best: float | None
    trials: int
    epochs: int


def read_members(connection: Connection, names: Sequence[str], direction: str) -> dict[str, Member]:
    """The studies of a comparison by name, also those that are not there yet.

    Args:
        connection: to the database.
        names: of the studies.
        direction: of their objective.
    """
    query = sa.text(f"{_STANDINGS} SELECT id, name, state FROM standing WHERE name = ANY(:names)")
    rows = {row.name: row for row in connection.execute(query, {"names": list(names)})}
    details = {
        row.study_id: row
        for row in connection.execute(sa.text(_DETAILS), {"studies": [row.id for row in rows.values()]})
    }
    members = {}
    for name in names:
        row = rows.get(name)
        detail = None if row is None else details.get(row.id)
        members[name] = Member(
            name=name, state=row.state if row else "", best=_best(direction, detail),
            trials=detail.trials if detail else 0, epochs=int(detail.epochs) if detail else 0,
        )  # fmt: skip
    return members


def _entries(connection: Connection, rows: Sequence[sa.Row[Any]]) -> list[Entry]:
    study, whole = tables.study, tables.comparison
    ids = [row.id for row in rows if row.kind == "study"]
    plans = {
        plan.id: plan
        for plan in connection.execute(
            sa.select(whole.c.id, whole.c.spec).where(
                whole.c.id.in_([row.id for row in rows if row.kind == "comparison"])
            )
        )
    }
    members = connection.execute(
        sa.text(f"{_STANDINGS} SELECT comparison, id FROM member WHERE comparison = ANY(:comparisons)"),
        {"comparisons": list(plans)},
    ).all()
    every = [*ids, *(member.id for member in members)]
    details = {row.study_id: row for row in connection.execute(sa.text(_DETAILS), {"studies": every})}
    columns = (study.c.id, study.c.spec, study.c.wall_seconds, study.c.gpu_seconds, study.c.optuna_study_id)
    read: sa.Select[Any] = sa.select(*columns).where(study.c.id.in_(every))
    studies = {each.id: each for each in connection.execute(read)}
    found = []
    for row in rows:
        if row.kind == "study":
            spec = StudySpec.model_validate(studies[row.id].spec)
            budget = read_budget(connection, row.id, spec)
            found.append(_study_entry(row, studies[row.id], details.get(row.id), spec, budget))
        else:
            own = [member.id for member in members if member.comparison == row.id]
            found.append(_comparison_entry(row, plans[row.id].spec, [(studies[one], details.get(one)) for one in own]))
    return found


def _study_entry(
    row: sa.Row[Any], study: sa.Row[Any], detail: sa.Row[Any] | None, spec: StudySpec, budget: Budget
) -> Entry:
    progress = StudyProgress(
        spec=spec, state=row.state, reason="", counts={"complete": detail.ended if detail else 0},
        epochs=int(detail.epochs) if detail else 0, wall_seconds=study.wall_seconds, gpu_seconds=study.gpu_seconds,
        best=None, running=[], rungs={}, notices=[], events=0, budget=budget,
    )  # fmt: skip
    return Entry(
        kind="study", name=row.name, state=row.state, submitter=row.submitter, created_at=row.created_at,
        strategy=spec.strategy_name, metric=spec.objective.metric, best=_best(spec.objective.direction, detail),
        used=budget_used(progress), spent=budget_spent(progress), trials=detail.trials if detail else 0,
        epochs=progress.epochs, wall_seconds=study.wall_seconds, gpu_seconds=study.gpu_seconds,
        optuna_study_id=study.optuna_study_id,
    )  # fmt: skip


def _best(direction: str, detail: sa.Row[Any] | None) -> float | None:
    """As a study would choose now: of completed trials, of pruned ones only where none is complete."""
    if detail is None:
        return None
    least = direction == "minimize"
    complete = detail.least_complete if least else detail.most_complete
    pruned = detail.least_pruned if least else detail.most_pruned
    best: float | None = pruned if complete is None else complete
    return best


def _comparison_entry(
    row: sa.Row[Any], spec: Mapping[str, Any], members: Sequence[tuple[sa.Row[Any], sa.Row[Any] | None]]
) -> Entry:
    details = [detail for _, detail in members if detail is not None]
    return Entry(
        kind="comparison", name=row.name, state=row.state, submitter=row.submitter, created_at=row.created_at,
        strategy="comparison", metric=spec.get("objective", {}).get("metric", ""), best=None,
        used=min(1.0, row.finished / max(1, row.studies)), spent=f"{row.finished} of {row.studies} studies finished",
        trials=sum(detail.trials for detail in details), epochs=int(sum(detail.epochs for detail in details)),
        wall_seconds=sum(study.wall_seconds for study, _ in members),
        gpu_seconds=sum(study.gpu_seconds for study, _ in members), optuna_study_id=None,
    )  # fmt: skip
