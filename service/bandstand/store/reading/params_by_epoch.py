"""What a trial's lineage was trained with, epoch by epoch: read from a study, and made ready to be trained again.

Knows the tables and how params by epoch are written down. Must not know who made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import InputError
from bandstand.store import tables
from bandstand.store.reading.replays import read_replays
from bandstand.store.records import Replayed
from bandstand.store.rows.best_rows import read_best
from bandstand.store.rows.event_rows import event_from
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.trials.events import Proposed
from bandstand.trials.lineage import Segment, lineage_of, parameter_table

__all__ = ["ParamsByEpoch", "read_params_by_epoch", "replay_spec", "write_params_by_epoch"]

FORMATS = (".json", ".csv")


@dataclass(frozen=True, kw_only=True)
class ParamsByEpoch:
    """How a trial came to its best epoch."""

    spec: StudySpec
    trial: int
    value: float
    segments: list[Segment]
    epochs: list[dict[str, Any]]
    """A row per epoch, as from `parameter_table`."""
    replays: list[Replayed]
    """Of this trial; where its study is a replay itself, that one first."""


def read_params_by_epoch(connection: Connection, row: sa.Row[Any], trial: int | None) -> ParamsByEpoch:
    """The params by epoch of a trial of the study in `row`, of its best one where None.

    Raises:
        InputError: there is no such trial, or it has no value yet.
    """
    spec = StudySpec.model_validate(row.spec)
    of = tables.trial
    standings = {
        found.number: found for found in connection.execute(sa.select(of).where(of.c.study_id == row.id)).all()
    }
    best = read_best(connection, row, spec) if trial is None else None
    chosen = standings.get(trial if best is None else best.number)
    if chosen is None or chosen.value is None:
        none = "has no trial with a value" if trial is None else f"has no trial {trial} with a value"
        raise InputError(
            f"a schedule needs a trial that has a value; study {spec.name!r} {none}: `bandstand show` lists its trials"
        )
    last = chosen.best_epoch if spec.objective.epoch == "best" else chosen.epochs
    best_epochs = {number: standing.best_epoch for number, standing in standings.items()}
    segments = lineage_of(chosen.number, last, _proposals(connection, row.id), best_epochs)
    rates = _learning_rates(connection, row.id, [segment.trial for segment in segments])
    return ParamsByEpoch(
        spec=spec,
        trial=chosen.number,
        value=chosen.value,
        segments=segments,
        epochs=parameter_table(segments, rates),
        replays=[
            found
            for found in read_replays(connection, row)
            if found.replay == spec.name or found.trial == chosen.number
        ],
    )


def _proposals(connection: Connection, study_id: int) -> dict[int, Proposed]:
    event = tables.event
    query = sa.select(event).where(event.c.study_id == study_id, event.c.kind == "proposed")
    made = (event_from(row.kind, row.data) for row in connection.execute(query))
    return {event.trial: event for event in made if isinstance(event, Proposed)}


def _learning_rates(connection: Connection, study_id: int, trials: list[int]) -> dict[tuple[int, int], float | None]:
    measured = tables.measurement
    query = sa.select(measured.c.trial, measured.c.epoch, measured.c.learning_rate).where(
        measured.c.study_id == study_id, measured.c.trial.in_(trials)
    )
    return {(row.trial, row.epoch): row.learning_rate for row in connection.execute(query)}


def write_params_by_epoch(found: ParamsByEpoch, path: Path) -> None:
    """Write params by epoch: .json for `TableSchedule.load` and for programs, .csv for a spreadsheet.

    Raises:
        InputError: the file ends in something else.
    """
    if path.suffix == ".csv":
        import pandas as pd

        pd.DataFrame(found.epochs).to_csv(path, index=False)
        return
    if path.suffix != ".json":
        raise InputError(f"the file must end in {' or '.join(FORMATS)}; got {path.name!r}")
    spec = found.spec
    content = {
        "study": spec.name,
        "trial": found.trial,
        "metric": spec.objective.metric,
        "value": found.value,
        "learning_rates": [row["learning_rate"] for row in found.epochs],
        "epochs": found.epochs,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def replay_spec(found: ParamsByEpoch, name: str) -> StudySpec:
    """A study that trains with params by epoch once more, from fresh weights.

    Raises:
        InputError: one line, where the name will not do.
    """
    epochs = len(found.epochs)
    segments = [
        {"params": dict(segment.params), "epochs": segment.epochs, "learning_rates": list(segment.learning_rates)}
        for segment in found.segments
    ]
    settings = found.spec.model_dump(mode="json") | {
        "name": name,
        "sampler": "replay",
        "sampler_options": {"study": found.spec.name, "trial": found.trial, "segments": segments},
        "pruner": "",
        "pruner_options": {},
        "max_epochs": epochs,
        "budget": {"epochs": epochs},
    }
    return study_spec_from(settings, f"a replay of {found.spec.name!r}")
