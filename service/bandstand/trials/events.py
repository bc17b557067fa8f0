"""What happened in a study, one frozen record a fact.

The events of a study, in order, are its truth: `Search` changes its state only by applying them, so a Search that is
rebuilt from the stored events stands where the lost one stood. Must not know how they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = [
    "EVENTS",
    "FINAL_STATES",
    "RESULT_STATES",
    "STUDY_EVENTS",
    "Action",
    "CheckpointRefused",
    "Checkpointed",
    "CodeSeen",
    "Combined",
    "DataSeen",
    "Decided",
    "Ended",
    "Enqueued",
    "Event",
    "Extended",
    "Lost",
    "Measured",
    "Noticed",
    "Paused",
    "Promoted",
    "Proposed",
    "Reopened",
    "Spent",
    "Started",
    "StudyEnded",
    "StudyEvent",
    "TrialState",
]


class Action(StrEnum):
    """What a trainer is told at an epoch where it asks."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


class TrialState(StrEnum):
    """Where a trial stands. The last three are final."""

    WAITING = "waiting"  # proposed, promoted or lost: wants a worker
    RUNNING = "running"
    PAUSED = "paused"  # at a rung, with a checkpoint; trains on only if the strategy promotes it
    COMPLETE = "complete"  # ended without being judged worse: all its epochs, its own early stopping, or the budget
    PRUNED = "pruned"  # ended because the pruner judged it worse
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to the trial."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)

    @property
    def is_result(self) -> bool:
        """Whether the trial has ended and has not failed."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED)

    @property
    def is_resting(self) -> bool:
        """Whether no worker has the trial or is wanted for it: it has ended, or it is paused and may never go on."""
        return self is TrialState.PAUSED or self.is_final


FINAL_STATES = tuple(state for state in TrialState if state.is_final)
"""Complete, pruned, failed."""
RESULT_STATES = tuple(state for state in TrialState if state.is_result)
"""Complete, pruned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposed:
    """A new trial exists."""

    trial: int
    params: Mapping[str, Any]
    bracket: int = 0
    granted: int  # the epoch up to which it may train before it must ask
    parent: int | None = None  # the trial that it goes on from, or whose configuration it begins again
    from_epoch: int = 0  # the epoch of the parent's checkpoint that it goes on from; 0: fresh weights
    weights: str = "last"  # of the parent's checkpoint: last (its end, optimizer included) or best (of its epochs)
    learning_rates: tuple[float, ...] = ()  # of its epochs, from the first; empty: as the builder says
    origin: str | None = None  # why it is there, for people; None where the strategy wanted it and it has no parent
    request: int | None = None  # the request that asked for it, where it was not the strategy's idea


@dataclass(frozen=True, kw_only=True, slots=True)
class Promoted:
    """A paused trial goes on."""

    trial: int
    granted: int  # the epoch up to which it may train before it must ask
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A worker was given the trial."""

    trial: int
    attempt: int  # counted from 1
    from_epoch: int  # the checkpoint's epoch; 0: from scratch
    worker: str | None = None  # which one, as whoever asked calls it


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """An epoch was trained for the first time. `value` is the objective's metric."""

    trial: int
    attempt: int
    epoch: int  # counted from 1
    value: float | None  # None where the epoch's logs did not have the metric
    metrics: Mapping[str, float] = field(default_factory=dict)  # every key of the epoch's logs
    seconds: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpointed:
    """The trial can go on from this epoch; the file is durable."""

    trial: int
    attempt: int
    epoch: int
    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRefused:
    """The trial's checkpoint of this epoch cannot be used: it is missing, damaged or of another form."""

    trial: int  # whose checkpoint it is; a child may have found it out
    epoch: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """The answer at an epoch where the trial had to ask."""

    trial: int
    attempt: int
    epoch: int
    action: Action
    granted: int  # with CONTINUE: train on to this epoch, then ask again
    reason: str
    completes: bool = False  # with STOP: the trial ends as one that was not judged worse


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """The trial gave its worker back."""

    trial: int
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """The worker died under the trial."""

    trial: int
    attempt: int
    reason: str
    blamed: bool  # whether the trial itself may have killed it, so that it counts towards max_attempts


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The trial reached a final state."""

    trial: int
    attempt: int
    state: TrialState
    reason: str  # max_epochs, early_stopping, budget, a pruner's word, or the failure's kind
    message: str | None = None
    signature: str | None = None  # equal for failures that have the same cause
    detail: str | None = None  # a failure's traceback


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Time used since the last such event."""

    wall_seconds: float
    gpu_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Noticed:
    """Something the user should know about how the study was run."""

    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSeen:
    """The data that the study trains on: as its first trainer has loaded them, or the study that it replays."""

    splits: Mapping[str, Any]  # a `DataPrint`


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeSeen:
    """The code that trains from here on; the fields are those of a `CodePrint`."""

    python: str
    parts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Combined:
    """Several trials' weights were put together as one model and weighed against the best snapshot."""

    how: str  # average or ensemble
    trials: tuple[int, ...]  # whose last weights, oldest first
    taken: bool  # the combined model is the study's, and not the snapshot
    value: float | None  # of the combined model: the objective on validation data, None where there is none
    snapshot_value: float | None  # of the best snapshot, measured alike
    uri: str | None = None  # the combined model's file
    problem: str | None = None  # why it could not be made or scored


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyEnded:
    """The study has its result, or failed with a reason."""

    failed: bool
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Extended:
    """A user has raised what the study may spend."""

    request: int
    budget: Mapping[str, float]  # all limits from here on
    by: str | None = None  # who asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Enqueued:
    """A user wants these params trained next."""

    request: int
    params: Mapping[str, Any]
    by: str | None = None  # who asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Reopened:
    """A study that had ended is to go on, because the user mended what made it fail, or asked for more."""

    forgotten: bool = False  # its checkpoints were removed when it ended, so nothing goes on from an ended trial


Event = (
    Proposed
    | Promoted
    | Started
    | Measured
    | Checkpointed
    | CheckpointRefused
    | Decided
    | Paused
    | Lost
    | Ended
    | Spent
    | Noticed
    | DataSeen
    | CodeSeen
    | Combined
    | StudyEnded
    | Extended
    | Enqueued
    | Reopened
)

StudyEvent = Spent | Noticed | DataSeen | CodeSeen | Combined | StudyEnded | Extended | Enqueued | Reopened
"""Those that are about no trial."""
STUDY_EVENTS = (Spent, Noticed, DataSeen, CodeSeen, Combined, StudyEnded, Extended, Enqueued, Reopened)
"""The same as a tuple: to ask whether something is one of a union takes five times as long."""

EVENTS: Mapping[str, type[Event]] = {
    "proposed": Proposed,
    "promoted": Promoted,
    "started": Started,
    "measured": Measured,
    "checkpointed": Checkpointed,
    "checkpoint_refused": CheckpointRefused,
    "decided": Decided,
    "paused": Paused,
    "lost": Lost,
    "ended": Ended,
    "spent": Spent,
    "noticed": Noticed,
    "data_seen": DataSeen,
    "code_seen": CodeSeen,
    "combined": Combined,
    "study_ended": StudyEnded,
    "extended": Extended,
    "enqueued": Enqueued,
    "reopened": Reopened,
}
"""Stored name of each kind of event."""
