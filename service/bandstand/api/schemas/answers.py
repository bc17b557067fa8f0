"""What is told of studies and their trials: the forms of answers.

Knows both the store's records and their JSON. Must not know which route tells them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from bandstand.api.schemas.described import Described
from bandstand.api.schemas.values import Number, TextOrEmpty
from bandstand.problem.budget import Budget
from bandstand.study.states import RunState, StudyState, SubmissionKind, SubmissionState
from bandstand.trials.events import TrialState

__all__ = [
    "BestOut", "Page", "Progress", "RunOut", "RunningTrialOut", "StudyDetail", "StudyOut", "SubmissionOut", "TrialOut",
    "TrialPage",
]  # fmt: skip


class _FromRecord(Described):
    model_config = ConfigDict(from_attributes=True)


class StudyOut(_FromRecord):
    """A study, as lists show it."""

    name: str
    state: StudyState
    """queued, running, interrupted (nobody runs it any more), stopped, finished or failed."""
    reason: TextOrEmpty
    """Reason for the end. Empty if the state says enough."""
    metric: str
    """Metric that trials are judged by."""
    direction: str
    """Direction of the metric: minimize or maximize."""
    strategy: str
    """Sampler and pruner, or the whole strategy."""
    max_epochs: int
    """Number of epochs after which a trial is complete."""
    trials: int
    """Number of trials."""
    running: int
    """Number of trials that train now."""
    epochs: int
    """Number of epochs that all trials have trained."""
    wall_seconds: float
    """Seconds in which the study ran."""
    gpu_seconds: float
    """Seconds of busy GPUs, added up."""
    budget: dict[str, float]
    """Limits of the study: epochs, trials, wall_seconds, gpu_hours."""
    budget_used: float | None
    """Spent share of the limit that is nearest to its end, from 0 to 1. Null without limits."""
    best_value: Number | None
    """Value of the best trial. Null before there is one."""
    best_trial: int | None
    """Number of the best trial."""
    submitter: str | None
    """User who submitted the study. Null if it was started on the command line."""
    comparison: str | None
    """Submitted comparison that the study belongs to."""
    position: int | None
    """Place in the queue, from 1, while the study waits."""
    created_at: datetime
    ended_at: datetime | None


class Page(Described):
    """One page of the list of studies."""

    studies: list[StudyOut]
    next: int | None
    """Value of `after` for the next page. Null on the last page."""


class TrialOut(_FromRecord):
    """A trial, as lists show it."""

    number: int
    state: TrialState
    reason: TextOrEmpty
    message: TextOrEmpty
    """Error of a failed trial."""
    params: dict[str, Any]
    value: Number | None
    best_epoch: int
    """Epoch that reached the value, from 1, counted along the lineage. 0 before there is a value."""
    epochs: int
    """Number of epochs that the trial itself trained, without its parents."""
    seconds: Number
    """Seconds of training."""
    bracket: int
    """Bracket of the pruner, from 0."""
    attempts: int
    """Number of times that the trial began or was resumed."""
    parent: int | None
    """Trial whose checkpoint this trial began with."""
    from_epoch: int
    """Epoch of that checkpoint."""
    origin: TextOrEmpty
    created_at: datetime
    ended_at: datetime | None


class TrialPage(Described):
    """One page of the list of trials."""

    trials: list[TrialOut]
    next: int | None
    """Value of `after` for the next page. Null on the last page."""


class SeenOut(_FromRecord):
    """The best value of any epoch, if it is not the best trial's."""

    value: Number
    number: int
    """Number of the trial."""
    epoch: int
    state: TrialState


class BestOut(_FromRecord):
    """The best trial of a study so far."""

    number: int
    params: dict[str, Any]
    value: Number
    epoch: int
    """Epoch that reached the value, from 1."""
    epochs: int
    """Number of epochs that the trial trained."""
    state: TrialState
    """State of the trial. A pruned or failed trial can be the best one, because its best epoch still counts."""
    model_path: str | None
    """Path on the cluster of the .keras file with the weights of that epoch. Null if there is no file."""
    seen: SeenOut | None = None
    """A better value that does not count, if the objective takes the last epoch of each trial."""
    test_metrics: dict[str, Number] | None = None
    """Metrics of that model on the test data, measured once, after the search."""


class RunningTrialOut(_FromRecord):
    """A trial that trains now."""

    number: int
    params: dict[str, Any]
    epochs: int
    granted: int
    """Epoch at which the strategy decides next."""
    bracket: int
    value: Number | None
    """Value of the latest epoch."""


class Progress(_FromRecord):
    """The progress of a study."""

    budget: Budget
    """Budget as it is now: the spec's budget, or more."""
    state: StudyState
    reason: TextOrEmpty
    counts: dict[TrialState, int]
    """Number of trials by state."""
    spent_trials: int
    """Number of ended trials that count in the budget. A trial with a parent does not count."""
    epochs: int
    wall_seconds: float
    gpu_seconds: float
    best: BestOut | None
    running: list[RunningTrialOut]
    rungs: dict[int, int]
    """Epochs at which trials are judged, each with the number of trials that have reached it."""
    notices: list[str]
    events: int
    """A number that grows with every event of the study."""


class SubmissionOut(_FromRecord):
    """A submission: a study or comparison that the server is asked to run."""

    name: str
    """Name of the study or comparison."""
    kind: SubmissionKind
    submitter: str
    code: str | None
    """SHA-256 of the code's archive. Null if the cluster has the modules."""
    workers: int | None
    priority: int
    labels: dict[str, str]
    state: SubmissionState
    outcome: TextOrEmpty
    """Outcome of an ended submission: finished, failed or stopped."""
    message: TextOrEmpty
    attempts: int
    """Number of jobs in a row that have not trained an epoch."""
    not_before: datetime | None
    """Earliest time of the next try."""
    queued_at: datetime
    created_at: datetime
    ended_at: datetime | None


class RunOut(_FromRecord):
    """A job that ran, or runs, a submission."""

    id: str
    number: int
    """Number of the job, from 1."""
    state: RunState
    message: TextOrEmpty
    log_characters: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class StudyDetail(StudyOut):
    """A study without its trials."""

    spec: dict[str, Any]
    progress: Progress
    submission: SubmissionOut | None
    """Submission of the study. Null if it was started on the command line."""
    runs: list[RunOut] = Field(default_factory=list)
    """Jobs of the study, the oldest first."""
