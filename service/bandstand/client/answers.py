"""What a server answers, as records.

Knows the JSON of the server's interface. Must not know how it was asked for. What a newer server tells besides is left
out; what is missing is an answer that is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bandstand.errors import InputError, ServerAnswerError
from bandstand.problem.budget import Budget
from bandstand.study.study import StudySpec, study_spec_from
from bandstand.trials.best import BestTrial, Seen

if TYPE_CHECKING:
    from bandstand.store.records import StudyProgress

__all__ = ["Best", "ListedStudy", "Me", "progress_from", "record_from", "spec_from"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Best(BestTrial):
    """A study's best trial; `model_path` is where the cluster keeps its file."""

    test_metrics: dict[str, float] | None = None  # of the model on the test data, looked at once, after the search


@dataclass(frozen=True, kw_only=True)
class ListedStudy:
    """A study in a list, as far as it is printed."""

    name: str
    state: str
    trials: int
    epochs: int
    best_value: float | None
    metric: str
    direction: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Me:
    """Whose token it is, and what it allows."""

    user: str
    role: str  # viewer, submitter, admin
    expires_at: datetime


def record_from(kind: type[T], answer: Any) -> T:
    """A record of this kind; times and numbers that JSON has no word for are read.

    Raises:
        ServerAnswerError: something is missing.
    """
    try:
        known = [each for each in fields(kind) if each.default is MISSING or each.name in answer]  # type: ignore[arg-type]
        return kind(**{each.name: _read(each.name, answer[each.name]) for each in known})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServerAnswerError(
            f"the server's answer must have all that a {kind.__name__} has; it lacks {error}: is it of another version?"
        ) from None


def spec_from(answer: Any) -> StudySpec:
    """A study's spec.

    Raises:
        ServerAnswerError: it is none that this version understands.
    """
    try:
        return study_spec_from(answer, "the server's study")
    except (InputError, TypeError, AttributeError) as error:
        raise ServerAnswerError(f"{error}: is the server of another version?") from None


def progress_from(spec: StudySpec, answer: Mapping[str, Any]) -> StudyProgress:
    """Where a study stands.

    Raises:
        ServerAnswerError: something is missing.
    """
    from bandstand.store.records import RunningTrial, StudyProgress

    try:
        known = {
            "spec": spec,
            **answer,
            "budget": Budget.model_validate(answer["budget"]),
            "rungs": {int(epoch): count for epoch, count in answer["rungs"].items()},
            "best": record_from(BestTrial, answer["best"]) if answer["best"] else None,
            "running": [record_from(RunningTrial, trial) for trial in answer["running"]],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServerAnswerError(f"a study's progress lacks {error}: is the server of another version?") from None
    return record_from(StudyProgress, known)


def _read(name: str, value: Any) -> Any:
    if name.endswith("_at") and isinstance(value, str):
        return datetime.fromisoformat(value)
    if name in ("value", "best_value") and isinstance(value, str):
        return float(value)
    if name == "seen" and isinstance(value, Mapping):
        return record_from(Seen, value)
    return value
