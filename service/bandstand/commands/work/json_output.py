"""Studies as JSON on standard output, for programs.

Knows what of a record is told. Must not know which command tells it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import typer

from bandstand.commands.work.exporting import row_from
from bandstand.store.reading.study_list import TrialSummary
from bandstand.store.records import StudyFacts

__all__ = ["best_json", "json_from", "print_json"]


def json_from(record: StudyFacts, trials: Iterable[TrialSummary]) -> dict[str, Any]:
    """All that `bandstand show --json` tells."""
    return {
        "name": record.spec.name,
        "state": record.state,
        "reason": record.reason,
        "created_at": record.created_at,
        "ended_at": record.ended_at,
        "wall_seconds": record.wall_seconds,
        "gpu_seconds": record.gpu_seconds,
        "notices": record.notices,
        "budget": record.budget.model_dump(exclude_none=True),
        "requests": [vars(request) | {"refused": request.refused} for request in record.requests],
        "spec": record.spec.model_dump(mode="json"),
        "best": best_json(record),
        "trials": [_json_of_trial(row_from(trial, record.spec)) for trial in trials],
    }


def best_json(record: StudyFacts) -> dict[str, Any] | None:
    """All that `bandstand best --json` tells; None if no trial has a value."""
    best = record.best
    if best is None:
        return None
    combined = None if record.combined is None else dataclasses.asdict(record.combined)
    return dataclasses.asdict(best) | {
        "metric": record.spec.objective.metric,
        "direction": record.spec.objective.direction,
        "test_metrics": record.best_test_metrics,
        "combined": combined,
        "replays": [dataclasses.asdict(replayed) for replayed in record.replays],
    }


def _json_of_trial(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _iso(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def print_json(value: object) -> None:
    """Print something as JSON; what JSON has no word for is text."""
    typer.echo(json.dumps(value, indent=2, default=str))
