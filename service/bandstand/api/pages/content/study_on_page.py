"""All that a study's page shows, as it stands now.

Knows progress, submissions, runs and logs. Must not know how a page looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.api.pages.content.chart import Chart, make_chart, read_best_so_far
from bandstand.api.pages.content.listing import read_entry_state
from bandstand.api.pages.words import plain_text
from bandstand.errors import StudyNotFoundError
from bandstand.optuna_dashboard.large_studies import cost_words
from bandstand.running.progress_table import budget_spent, budget_used
from bandstand.store import tables
from bandstand.store.accounts import Role, TokenRecord
from bandstand.store.monitoring.coordinator_counts import CoordinatorStatus, read_coordinator_status
from bandstand.store.records import EndedTrial, StudyProgress, StudyRequest
from bandstand.store.rows.request_rows import read_requests
from bandstand.store.store import Store
from bandstand.study.states import StudyState
from bandstand.submissions import Run, Submission, SubmissionQueue

__all__ = ["LogEnd", "StudyOnPage", "may_change", "read_study_on_page", "whole_log"]

_LOG_CHARACTERS = 12_000
_ENDED_TRIALS = 15
_PIECE = 100_000


@dataclass(frozen=True, kw_only=True)
class LogEnd:
    """The end of what the latest job has printed."""

    run: Run
    text: str
    skipped: int
    """Characters before it."""


@dataclass(frozen=True, kw_only=True)
class StudyOnPage:
    """A study as it stands now."""

    name: str
    state: StudyState
    """As the list of studies has it."""
    progress: StudyProgress
    used: float
    spent: str
    chart: Chart | None
    ended: Sequence[EndedTrial]
    """The latest, the newest first."""
    requests: Sequence[StudyRequest]
    """That users have made and that are not granted: those that wait, and the latest that was refused."""
    coordinator: CoordinatorStatus | None
    """Of its coordinator, while it has one."""
    is_over: bool
    """Whether nothing is left to do."""
    submission: Submission | None
    comparison: str | None
    """That it belongs to; None if to none."""
    runs: int
    log: LogEnd | None
    optuna_study_id: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def trials(self) -> int:
        """In whatever state."""
        return sum(self.progress.counts.values())

    @property
    def dashboard_cost(self) -> str | None:
        """What a look at it in Optuna Dashboard costs; None where it is not worth a word."""
        return cost_words(self.trials)

    @property
    def has_ended(self) -> bool:
        """Whether nobody is going on with it."""
        return self.state.has_ended or self.state is StudyState.INTERRUPTED


def read_study_on_page(store: Store, name: str) -> StudyOnPage:
    """Where a study stands.

    Raises:
        StudyNotFoundError: there is none of this name.
    """
    progress = store.progress(name)
    submission, runs = SubmissionQueue(store).look_up(name)
    study = tables.study
    columns = (study.c.id, study.c.optuna_study_id, study.c.created_at, study.c.ended_at)
    with store.database.reading() as connection:
        row = connection.execute(sa.select(*columns).where(study.c.name == name)).one_or_none()
        state = read_entry_state(connection, "study", name)
        if row is None or state is None:
            raise StudyNotFoundError(f"the study {name!r} does not exist any more")
        best = read_best_so_far(connection, row.id, progress.spec.objective)
        since = _before_the_last(connection, row.id)
        comparison = _comparison_of(connection, name)
        requests = read_requests(connection, row.id)
        is_held = state in (StudyState.RUNNING, StudyState.STOPPING)
        coordinator = read_coordinator_status(connection, row.id) if is_held else None
    return StudyOnPage(
        name=name,
        state=state,
        progress=progress,
        used=budget_used(progress),
        spent=budget_spent(progress),
        chart=make_chart(best, progress.spec.objective.metric),
        ended=store.ended_trials(name, since)[::-1][:_ENDED_TRIALS],
        requests=_not_granted(requests),
        coordinator=coordinator,
        is_over=store.is_over(name),
        submission=submission,
        comparison=comparison,
        runs=len(runs),
        log=_end_of_log(store, runs[-1]) if runs else None,
        optuna_study_id=row.optuna_study_id,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def may_change(token: TokenRecord, submission: Submission | None) -> bool:
    """Whether the buttons are of any use to this user; the JSON routes decide for themselves."""
    if token.role >= Role.ADMIN:
        return True
    return token.role >= Role.SUBMITTER and submission is not None and submission.submitter == token.user_name


def whole_log(store: Store, run: Run) -> Iterator[str]:
    """All that a run has printed so far, in pieces."""
    for start in range(0, run.log_characters, _PIECE):
        yield SubmissionQueue(store).log(run.id, start, _PIECE)


def _not_granted(requests: Sequence[StudyRequest]) -> list[StudyRequest]:
    refused = [request for request in requests[-1:] if request.refused]
    return [request for request in requests if request.taken_at is None] + refused


def _end_of_log(store: Store, run: Run) -> LogEnd:
    skipped = max(0, run.log_characters - _LOG_CHARACTERS)
    text = plain_text(SubmissionQueue(store).log(run.id, skipped, _LOG_CHARACTERS))
    if skipped:
        text = text.partition("\n")[2]
    return LogEnd(run=run, text=text, skipped=skipped)


def _before_the_last(connection: Connection, study: int) -> int:
    """A sequence number after which as many trials have ended as are shown."""
    event = tables.event
    ends = sa.select(event.c.seq).where(event.c.study_id == study, event.c.kind == "ended")
    return int(connection.execute(ends.order_by(event.c.seq.desc()).offset(_ENDED_TRIALS).limit(1)).scalar() or 0)


def _comparison_of(connection: Connection, study: str) -> str | None:
    whole = tables.comparison
    query = sa.select(whole.c.name).where(sa.func.starts_with(study, whole.c.name + "/"))
    return connection.execute(query.order_by(sa.func.length(whole.c.name).desc()).limit(1)).scalar()
