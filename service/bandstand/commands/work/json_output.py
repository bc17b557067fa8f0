"""Studies as JSON on standard output, for programs.

Knows what of a record is told. Must not know which command tells it.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import typer

from bandstand.store.records import StudyRecord

__all__ = ["best_json", "json_from", "print_json"]


def json_from(record: StudyRecord) -> dict[str, Any]:
    """All that `bandstand show --json` tells."""
    trials = json.loads(record.trials.to_json(orient="records", date_format="iso"))
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
        "trials": trials,
    }


def best_json(record: StudyRecord) -> dict[str, Any] | None:
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


def print_json(value: object) -> None:
    """Print something as JSON; what JSON has no word for is text."""
    typer.echo(json.dumps(value, indent=2, default=str))
