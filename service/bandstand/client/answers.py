"""What a server answers, as records.

Knows the JSON of the server's interface. Must not know how it was asked for. What a newer server tells besides is left
out; what is missing is an answer that is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from bandstand.errors import InputError, ServerAnswerError
from bandstand.problem.directions import Direction
from bandstand.store.records import StudyProgress
from bandstand.study.states import RunState, StudyState, SubmissionState
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.trials.best import BestTrial
from bandstand.trials.events import TrialState

__all__ = [
    "Best",
    "ComparisonDetail",
    "ListedStudy",
    "ListedTrial",
    "LogPiece",
    "Me",
    "PlannedStudy",
    "RunAnswer",
    "StudyDetail",
    "StudyEnd",
    "SubmissionAnswer",
    "Submitted",
    "progress_from",
    "record_from",
    "spec_from",
]

T = TypeVar("T")
_READERS: dict[type[Any], TypeAdapter[Any]] = {}


@dataclass(frozen=True, kw_only=True)
class Best(BestTrial):
    """The best trial of a study. `model_path` is the path of its model on the cluster."""

    test_metrics: dict[str, float] | None = None
    """Metrics of that model on the test data, measured once, after the search. None before that."""


@dataclass(frozen=True, kw_only=True)
class ListedStudy:
    """A study in a list, as far as it is printed."""

    name: str
    state: StudyState
    trials: int
    epochs: int
    best_value: float | None
    metric: str
    direction: Direction
    created_at: datetime
    comparison: str | None = None  # whose study it is


@dataclass(frozen=True, kw_only=True)
class ListedTrial:
    """A trial in a list, as far as it is printed."""

    number: int
    state: TrialState
    reason: str
    message: str
    params: dict[str, Any]
    value: float | None
    epochs: int


@dataclass(frozen=True, kw_only=True)
class SubmissionAnswer:
    """What somebody asked the server to run."""

    submitter: str
    code: str | None  # SHA-256 of the archive
    workers: int | None
    priority: int
    state: SubmissionState
    outcome: str  # of an ended one: finished, failed or stopped
    message: str


@dataclass(frozen=True, kw_only=True)
class RunAnswer:
    """One job of a submission."""

    number: int
    state: RunState
    message: str


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What a study and a comparison are alike in."""

    name: str
    spec: dict[str, JsonValue]
    submission: SubmissionAnswer | None  # None: made on the command line


@dataclass(frozen=True, kw_only=True)
class StudyDetail(Submitted):
    """All of a study but its trials."""

    state: StudyState
    reason: str
    created_at: datetime
    progress: dict[str, JsonValue]
    runs: tuple[RunAnswer, ...] = ()  # the oldest first
    position: int | None = None  # in the queue, from 1, while it waits


@dataclass(frozen=True, kw_only=True)
class PlannedStudy:
    """One strategy of a comparison, once."""

    name: str
    study: ListedStudy | None  # None: before it is made


@dataclass(frozen=True, kw_only=True)
class ComparisonDetail(Submitted):
    """All of a comparison but its results."""

    studies: tuple[PlannedStudy, ...]

    @property
    def state(self) -> str:
        """queued, running, stopping, finished, stopped or failed."""
        if self.submission is not None:
            ended = self.submission.state is SubmissionState.ENDED
            return self.submission.outcome if ended else self.submission.state
        unfinished = any(one.study is None or one.study.state is not StudyState.FINISHED for one in self.studies)
        return StudyState.STOPPED if unfinished else StudyState.FINISHED


@dataclass(frozen=True, kw_only=True)
class LogPiece:
    """A piece of what a job has printed."""

    run: int | None  # which job, from 1; None before there is any
    ended: bool  # whether nothing more will come
    text: str
    next: int  # where the next piece begins


@dataclass(frozen=True, kw_only=True)
class StudyEnd:
    """The last event of a study."""

    state: StudyState


@dataclass(frozen=True, kw_only=True)
class Me:
    """The user and the role of a token."""

    user: str
    """Name of the user."""
    role: str
    """Role of the token: viewer, submitter or admin."""
    expires_at: datetime
    """Time at which the token expires."""


def record_from(kind: type[T], answer: object) -> T:
    """A record of this kind; times and numbers that JSON has no word for are read.

    Raises:
        ServerAnswerError: something is missing.
    """
    try:
        record: T = _reader(kind).validate_python(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise ServerAnswerError(
            f"the server's answer is not what this version expects ({kind.__name__}, {where}: {first['msg']}): use "
            "the same version of Bandstand on both sides"
        ) from None
    return record


def _reader(kind: type[Any]) -> TypeAdapter[Any]:
    """Made once: that takes longer than to read an answer."""
    if kind not in _READERS:
        _READERS[kind] = TypeAdapter(kind)
    return _READERS[kind]


def spec_from(answer: object) -> StudySpec:
    """A study's spec.

    Raises:
        ServerAnswerError: it is none that this version understands.
    """
    if not isinstance(answer, Mapping):
        raise ServerAnswerError(
            "the server's answer has no settings of the study: use the same version of Bandstand on both sides"
        )
    try:
        return study_spec_from(answer, "the server's study")
    except (InputError, TypeError, AttributeError) as error:
        raise ServerAnswerError(f"{error}; use the same version of Bandstand on both sides") from None


def progress_from(spec: StudySpec, answer: Mapping[str, object]) -> StudyProgress:
    """Where a study stands.

    Raises:
        ServerAnswerError: something is missing.
    """
    return record_from(StudyProgress, {"spec": spec, **answer})
