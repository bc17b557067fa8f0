"""What is told of studies and their trials: the forms of answers.

Knows both the store's records and their JSON. Must not know which route tells them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bandstand.api.schemas.values import Number, TextOrEmpty
from bandstand.problem.budget import Budget
from bandstand.study.states import RunState, StudyState, SubmissionKind, SubmissionState
from bandstand.trials.events import TrialState

__all__ = [
    "BestOut", "Page", "Progress", "RunOut", "RunningTrialOut", "StudyDetail", "StudyOut", "SubmissionOut", "TrialOut",
    "TrialPage",
]  # fmt: skip


class _FromRecord(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class StudyOut(_FromRecord):
    """A study in a list."""

    name: str
    state: StudyState
    """queued, running, interrupted (it has nobody who runs it), stopped, finished or failed."""
    reason: TextOrEmpty
    """Why it ended, where that is not plain."""
    metric: str
    """What its trials are judged by."""
    direction: str
    """minimize or maximize."""
    strategy: str
    """Sampler and pruner."""
    max_epochs: int
    """That complete a trial."""
    trials: int
    running: int
    """Trials that train now."""
    epochs: int
    """Trained so far, all trials together."""
    wall_seconds: float
    gpu_seconds: float
    budget: dict[str, float]
    """The limits that are set: epochs, trials, wall_seconds, gpu_hours."""
    budget_used: float | None
    """The share of the nearest limit that is spent, from 0 to 1; null where nothing is limited."""
    best_value: Number | None
    best_trial: int | None
    submitter: str | None
    """Null for a study that was made on the command line."""
    comparison: str | None
    """The submitted comparison that it belongs to."""
    position: int | None
    """Its place in the queue, from 1, while it waits."""
    created_at: datetime
    ended_at: datetime | None


class Page(BaseModel):
    """Studies, the newest first."""

    studies: list[StudyOut]
    next: int | None
    """`after` of the next page; null on the last one."""


class TrialOut(_FromRecord):
    """A trial in a list."""

    number: int
    state: TrialState
    reason: TextOrEmpty
    message: TextOrEmpty
    """Of a failed one: what went wrong."""
    params: dict[str, Any]
    value: Number | None
    best_epoch: int
    """The epoch that reached the value, from 1, along the lineage; 0 before there is one."""
    epochs: int
    """That it trained itself, without its parents'."""
    seconds: Number
    """Of training."""
    bracket: int
    attempts: int
    parent: int | None
    """The trial whose checkpoint it began with."""
    from_epoch: int
    origin: TextOrEmpty
    created_at: datetime
    ended_at: datetime | None


class TrialPage(BaseModel):
    """Trials by their numbers."""

    trials: list[TrialOut]
    next: int | None
    """`after` of the next page; null on the last one."""


class SeenOut(_FromRecord):
    """The best value of any epoch."""

    value: Number
    number: int
    """Of the trial."""
    epoch: int
    state: TrialState


class BestOut(_FromRecord):
    """A study's best trial so far."""

    number: int
    params: dict[str, Any]
    value: Number
    epoch: int
    """The epoch that reached the value, from 1."""
    epochs: int
    """How many it trained."""
    state: TrialState
    """Any: what becomes of a trial after its best epoch takes nothing from that."""
    model_path: str | None
    """Where the cluster keeps its .keras file, with the weights of that epoch; null where it has none."""
    seen: SeenOut | None = None
    """A better value that does not count, where the objective takes each trial's last epoch."""
    test_metrics: dict[str, Number] | None = None
    """Of that model on the test data, looked at once, after the search."""


class RunningTrialOut(_FromRecord):
    """A trial that a worker has."""

    number: int
    params: dict[str, Any]
    epochs: int
    granted: int
    """The epoch at which it asks next."""
    bracket: int
    value: Number | None
    """Of its latest epoch."""


class Progress(_FromRecord):
    """Where a study stands."""

    budget: Budget
    """As it is now: that of the spec, or more."""
    state: StudyState
    reason: TextOrEmpty
    counts: dict[TrialState, int]
    """Trials by state."""
    spent_trials: int
    """Trials of the budget that have ended; a trial that goes on from another one is none."""
    epochs: int
    wall_seconds: float
    gpu_seconds: float
    best: BestOut | None
    running: list[RunningTrialOut]
    rungs: dict[int, int]
    """Epoch where trials are judged, and how many have reached it."""
    notices: list[str]
    events: int
    """Grows whenever anything happens."""


class SubmissionOut(_FromRecord):
    """What somebody asked the server to run."""

    name: str
    """The study's, or that of its comparison."""
    kind: SubmissionKind
    submitter: str
    code: str | None
    """SHA-256 of the archive; null where the cluster has the modules."""
    workers: int | None
    priority: int
    labels: dict[str, str]
    state: SubmissionState
    outcome: TextOrEmpty
    """Of an ended one: finished, failed or stopped."""
    message: TextOrEmpty
    attempts: int
    """Runs in a row that have not trained an epoch."""
    not_before: datetime | None
    """When it is tried again."""
    queued_at: datetime
    created_at: datetime
    ended_at: datetime | None


class RunOut(_FromRecord):
    """One job of a submission."""

    id: str
    number: int
    """From 1."""
    state: RunState
    message: TextOrEmpty
    log_characters: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class StudyDetail(StudyOut):
    """All of a study but its trials."""

    spec: dict[str, Any]
    progress: Progress
    submission: SubmissionOut | None
    """Null for a study that was made on the command line."""
    runs: list[RunOut] = Field(default_factory=list)
    """The oldest first."""
