"""Events as rows and rows as events.

Knows the shape of both. Must not know a connection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from bandstand.trials.events import (
    EVENTS,
    Action,
    Checkpointed,
    Ended,
    Enqueued,
    Event,
    Extended,
    Lost,
    Measured,
    Paused,
    Reopened,
    Started,
    StudyEnded,
    StudyEvent,
    TrialState,
)
from bandstand.trials.history import History, Trial

__all__ = ["Rows", "best_from", "clean_text", "event_from", "measured_from", "rows_from"]

_MAY_BE_MISSING = {
    kind: {field.name for field in dataclasses.fields(event) if field.default is None} for kind, event in EVENTS.items()
}
_KINDS = {kind: name for name, kind in EVENTS.items()}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """One batch to write in one transaction: table name -> rows."""

    events: list[dict[str, Any]]
    measurements: list[dict[str, Any]]
    trials: list[dict[str, Any]]
    attempts_begun: list[dict[str, Any]]
    attempts_ended: list[dict[str, Any]]
    checkpoints: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    """Of those that the study has granted."""
    study: dict[str, Any]
    """Columns of the study's own row."""
    best: dict[str, Any] | None
    """trial, value, epoch and state of the best trial, for whoever cannot tell it from the rows of trials."""


def rows_from(study_id: int, events: Iterable[tuple[int, Event]], history: History) -> Rows:
    """What a batch of (seq, event), already applied to `history`, writes."""
    rows = Rows(
        events=[], measurements=[], trials=[], attempts_begun=[], attempts_ended=[], checkpoints=[],
        requests=[],
        study={"wall_seconds": history.ledger.wall_seconds, "gpu_seconds": history.ledger.gpu_seconds},
        best=best_from(history),
    )  # fmt: skip
    touched: dict[int, None] = {}
    for seq, event in events:
        key = {"study_id": study_id, "seq": seq}
        if isinstance(event, Measured):
            rows.measurements.append(key | _fields(event) | {"metrics": _json_numbers(event.metrics)})
        else:
            trial = getattr(event, "trial", None)
            rows.events.append(key | {"kind": _KINDS[type(event)], "trial": trial, "data": _fields(event)})
        _add_projections(rows, study_id, event)
        if not isinstance(event, StudyEvent):
            touched[event.trial] = None
    rows.trials.extend(_trial_row(study_id, history, history.trials[number]) for number in touched)
    return rows


def best_from(history: History) -> dict[str, Any] | None:
    """trial, value, epoch and state of the best trial; None where there is none."""
    best = history.best
    if best is None:
        return None
    epoch, value = history.result_epoch(best), history.value_of(best)
    return {"trial": best.number, "value": value, "epoch": epoch, "state": str(best.state)}


def _add_projections(rows: Rows, study_id: int, event: Event) -> None:
    """What an event means for the tables that are handy to query."""
    match event:
        case Started():
            rows.attempts_begun.append({"study_id": study_id} | _fields(event) | {"worker": event.worker or ""})
        case Paused() | Lost() | Ended():
            outcome = {Paused: "paused", Lost: "lost"}.get(type(event)) or str(getattr(event, "state", ""))
            if event.attempt:
                rows.attempts_ended.append(
                    {"of_study": study_id, "of_trial": event.trial, "of_attempt": event.attempt, "outcome": outcome}
                )
        case Checkpointed():
            rows.checkpoints.append({"study_id": study_id} | _fields(event))
        case StudyEnded():
            rows.study.update(reason=event.reason)  # its state follows when its model is made and tested
        case Extended() | Enqueued():
            rows.requests.append({"of_request": event.request})
        case Reopened():
            rows.study.update(state="running", reason="")


def _trial_row(study_id: int, history: History, trial: Trial) -> dict[str, Any]:
    value = history.value_of(trial)
    return {
        "study_id": study_id,
        "number": trial.number,
        "params": dict(trial.params),
        "bracket": trial.bracket,
        "parent": trial.parent,
        "from_epoch": trial.from_epoch,
        "origin": trial.origin or "",
        "state": str(trial.state),
        "reason": trial.reason or "",
        "message": clean_text(trial.message or ""),
        "attempt": trial.attempt,
        "epochs": trial.epochs,
        "granted": trial.granted,
        "value": value if isfinite(value) else None,
        "best_epoch": trial.best_epoch,
    }


def _fields(event: Event) -> dict[str, Any]:
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return {name: _storable(value) for name, value in fields.items()}


def _storable(value: Any) -> Any:
    """A field as PostgreSQL takes it: a text there holds no NUL and no half of a surrogate pair."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        return clean_text(value) if type(value) is str else value  # not an enum's member
    return value


def clean_text(text: str) -> str:
    """A text without what PostgreSQL cannot store, as an exception's message may hold it."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _json_numbers(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no NaN and no infinity; Python's own words for them are read back by `float`."""
    return {name: value if isfinite(value) else str(value) for name, value in metrics.items()}


def event_from(kind: str, data: Mapping[str, Any]) -> Event:
    """The event that a row of table `event` holds."""
    fields = dict(data)
    if kind == "proposed":
        fields["learning_rates"] = tuple(fields.get("learning_rates", ()))
    elif kind == "combined":
        fields["trials"] = tuple(fields["trials"])
    elif kind == "decided":
        fields["action"] = Action(fields["action"])
    elif kind == "ended":
        fields["state"] = TrialState(fields["state"])
    for name in _MAY_BE_MISSING[kind]:
        if fields.get(name) == "":  # databases of before hold an empty text where an event says nothing
            fields[name] = None
    return EVENTS[kind](**fields)


def measured_from(row: Mapping[str, Any]) -> Measured:
    """The event that a row of table `measurement` holds."""
    return Measured(
        trial=row["trial"],
        attempt=row["attempt"],
        epoch=row["epoch"],
        value=row["value"],
        metrics={name: float(value) for name, value in row["metrics"].items()},
        seconds=row["seconds"],
        learning_rate=row["learning_rate"],
    )
