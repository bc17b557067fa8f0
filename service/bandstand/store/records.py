"""What readers get of a study, as frozen records: its progress for a live display, all of it for reports.

Knows the shape of what is read. Must not know tables, so that whoever only looks at a record needs no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from bandstand.problem.budget import Budget
from bandstand.study.study_spec import StudySpec
from bandstand.trials.best import BestTrial
from bandstand.trials.events import Combined

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EndedTrial",
    "Failure",
    "Replayed",
    "RunningTrial",
    "StudyFacts",
    "StudyOverview",
    "StudyProgress",
    "StudyRecord",
    "StudyRequest",
    "TopTrial",
]


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """What somebody asked of a study."""

    id: int
    kind: Literal["extend", "enqueue"]
    data: Mapping[str, Any]  # limits of a budget, or params
    by: str | None  # who asked, where it is known
    created_at: datetime
    taken_at: datetime | None  # when the study's coordinator took it in
    answer: str | None  # why it was refused; None where it was granted or is not taken yet

    @property
    def refused(self) -> bool:
        """Whether it was taken and not granted."""
        return self.taken_at is not None and self.answer is not None


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A trial whose schedule another study trains again."""

    study: str
    trial: int
    metric: str
    value: float | None  # of the trial; None where its study was deleted
    replay: str  # the study that trains it again
    replay_state: str
    replay_value: float | None  # of that study's best trial, so far unless it has finished

    @property
    def sentence(self) -> str:
        """What the trial reached, and what its schedule did when it was trained again, for people."""
        known, trained = self.value is not None, self.replay_value is not None
        reached = f"reached {self.metric} {self.value:.6g}" if known else "was deleted"
        again = f"reached {self.metric} {self.replay_value:.6g}" if trained else "has no value yet"
        if self.replay_state != "finished":
            again += f" ({self.replay_state})"
        return (
            f"trial {self.trial} of {self.study} {reached}; its replay from new random weights, {self.replay}, {again}"
        )


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that a worker has."""

    number: int
    params: dict[str, Any]
    epochs: int
    granted: int  # the epoch at which it asks next
    bracket: int
    value: float | None  # of its latest epoch


@dataclass(frozen=True, kw_only=True)
class EndedTrial:
    """A trial that has ended."""

    seq: int  # of the event that ended it
    number: int
    state: str
    reason: str
    message: str
    epochs: int
    value: float | None


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """The progress of a study, as `RemoteStudy.progress` gives it."""

    spec: StudySpec
    budget: Budget  # as it is now: that of the spec, or more
    state: str
    reason: str
    counts: dict[str, int]  # trials per state: waiting, running, paused, complete, pruned, failed
    spent_trials: int  # of the budget's, by the rule of `bandstand.trials.ledger`
    epochs: int
    wall_seconds: float
    gpu_seconds: float
    best: BestTrial | None
    running: list[RunningTrial]
    rungs: dict[int, int]  # epoch where trials are judged -> trials that reached it
    notices: list[str]
    events: int  # changes whenever anything happened


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyFacts:
    """What is known of a study as a whole."""

    spec: StudySpec
    budget: Budget
    """Budget as it is now: the spec's budget, or more."""
    state: str
    """queued, running, interrupted, stopped, finished or failed."""
    reason: str
    """Reason for the end. Empty if there is none."""
    created_at: datetime
    ended_at: datetime | None
    wall_seconds: float
    """Seconds in which the study ran."""
    gpu_seconds: float
    """Seconds of busy GPUs, added up."""
    best: BestTrial | None
    """The best trial. None if no trial has a value."""
    model_trial: int | None
    """Trial of the study's model: the best one, or the next best if that has no model file."""
    test_metrics: dict[str, float] | None
    """Metrics of the study's model on the test data, measured once."""
    test_looks: int
    """Number of models measured on the test data: one, unless the study was extended after its end."""
    requests: list[StudyRequest]
    """Requests of users for more budget or for trials."""
    environment: dict[str, str]
    """Versions of the software, and the machine, of the latest run."""
    notices: list[str]
    """Notes for the user."""
    combined: Combined | None
    """A model made of several trials. If it was not worse, it is the study's model."""
    replays: list[Replayed]
    """Replays of trials of this study. If the study is a replay itself, that one comes first."""

    @property
    def has_test(self) -> bool | None:
        """Whether the data have a test split; None where it is not known."""
        if "examples" not in self.environment:
            return None
        return any(part.split()[0] == "test" for part in self.environment["examples"].split(", "))

    @property
    def looked_at(self) -> str:
        """How often the test data were looked at, for people."""
        return "looked at once" if self.test_looks < 2 else f"looked at {self.test_looks} times, as a note says"

    @property
    def best_test_metrics(self) -> dict[str, float] | None:
        """`test_metrics` where they are of the best trial's model; where that is lost, another one's was tested."""
        return self.test_metrics if self.best is not None and self.best.model_path is not None else None

    @property
    def tested_model(self) -> str:
        """Whose model `test_metrics` are of, for people."""
        if self.best_test_metrics is not None:
            return "the chosen model"
        return f"the model of trial {self.model_trial} (the model file of the best trial is missing)"


@dataclass(frozen=True, kw_only=True)
class TopTrial:
    """One of a study's best trials."""

    number: int
    state: str
    value: float
    epochs: int  # that it trained itself
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Trials that failed in the same way: for the same reason where params decide it, else with the same message."""

    reason: str
    message: str  # one of theirs
    same_message: bool  # whether all of them have it
    count: int
    trials: Sequence[int]  # the first of them
    failed_params: Sequence[Mapping[str, Any]] = ()  # of some of them, where params decide it
    sound_params: Sequence[Mapping[str, Any]] = ()  # of some trials that did not fail so


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyOverview(StudyFacts):
    """What a page about a study says of it: as little to read for a large study as for a small one."""

    counts: Mapping[str, int]
    """Trials per state, the most frequent first."""
    epochs: int
    """Epochs that all trials have trained."""
    top: Sequence[TopTrial]
    """The best trials, the best first."""
    failures: Sequence[Failure]
    """The most frequent ways in which trials failed, the most frequent first."""
    other_failures: int
    """Failed trials that failed in other ways."""
    best_ancestors: Sequence[int]
    """The trials whose weights the best one went on from, the oldest first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyRecord(StudyFacts):
    """All that is known of a study. Two records are equal only if they are the same object."""

    trials: pd.DataFrame
    """A row per trial: number, state, reason, message, value, best_epoch, epochs, seconds (of training), bracket,
    attempts, created_at, ended_at, and params_<name> for each parameter (NaN or None if it is not active)."""
    measurements: pd.DataFrame
    """A row per trial and epoch, in that order: trial, epoch, value, seconds, learning_rate, attempt, created_at and
    each key of the epoch's logs."""
    attempts: pd.DataFrame
    """A row per attempt: trial, attempt, from_epoch, outcome, started_at, ended_at."""
    runs: tuple[tuple[datetime, datetime], ...] = ()
    """Start and end of each time in which the study ran and had trainers."""

    @property
    def best_ancestors(self) -> list[int]:
        """The trials whose weights the best one went on from, the oldest first."""
        if self.best is None:
            return []
        columns = (self.trials[name] for name in ("number", "parent", "from_epoch"))
        parents = {number: int(parent) for number, parent, epoch in zip(*columns, strict=True) if epoch > 0}
        ancestors, number = [], self.best.number
        while number in parents:
            number = parents[number]
            ancestors.append(number)
        return ancestors[::-1]
