"""What must hold of a finished study whose processes were killed, by its database and by its trainers' own journal."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.project import Project


def check_what_is_stored(store: Store, name: str, project: Project, epochs: int) -> None:
    """That a study with a budget of so many epochs has spent it exactly, and that everybody agrees on how."""
    record = store.record(name)
    assert record.state == "finished"
    # The total of epochs recorded is the budget; a second row of an epoch is impossible by the primary key.
    assert len(record.measurements) == epochs
    # No trial is lost or counted twice, each has ended, and its epochs are all there.
    assert list(record.trials["number"]) == list(range(len(record.trials)))
    assert set(record.trials["state"]) <= {"complete", "pruned"}
    begins = record.trials.set_index("number")["from_epoch"]
    for number, measured in record.measurements.groupby("trial")["epoch"]:
        first = begins[number] + 1
        assert list(measured) == list(range(first, first + len(measured))), f"trial {number}"
    check_resumed_from_last_checkpoints(store, name)
    check_trained_again_only_since_checkpoints(record, project)
    check_optuna_agrees(store, record)


def check_resumed_from_last_checkpoints(store: Store, name: str) -> None:
    event = tables.event
    with store.database.engine.connect() as connection:
        study = connection.execute(sa.select(tables.study.c.id).where(tables.study.c.name == name)).scalar_one()
        rows = connection.execute(sa.select(event).where(event.c.study_id == study).order_by(event.c.seq)).all()
    ended = Counter(row.trial for row in rows if row.kind == "ended")
    assert set(ended.values()) == {1}, "a trial ended more than once"
    checkpoints: dict[int, int] = {}
    for row in rows:
        if row.kind == "proposed" and row.data["from_epoch"]:
            checkpoints[row.trial] = row.data["from_epoch"]
        elif row.kind == "checkpointed":
            checkpoints[row.trial] = row.data["epoch"]
        elif row.kind == "started":
            assert row.data["from_epoch"] == checkpoints.get(row.trial, 0), f"trial {row.trial}"


def check_trained_again_only_since_checkpoints(record: Any, project: Project) -> None:
    """The trainers' own journal, which no restart can embellish, against the attempts that are stored."""
    trained: Counter[tuple[str, int]] = Counter()
    for line in (project.folder / "journal").read_text().splitlines():
        key, epoch = line.split("\t")
        trained[key, int(epoch)] += 1
    could_have: Counter[tuple[str, int]] = Counter()  # a child may have its parent's params, and train beside it
    for _, trial in record.trials.iterrows():
        key = repr(sorted({"units": trial["params_units"], "rate": trial["params_rate"]}.items()))
        starts = record.attempts[record.attempts["trial"] == trial["number"]]["from_epoch"]
        for epoch in own_epochs(trial):
            could_have[key, epoch] += int((starts < epoch).sum())
    for (key, epoch), attempts in could_have.items():
        assert 1 <= trained[key, epoch] <= attempts, f"params {key}, epoch {epoch}"


def own_epochs(trial: Any) -> range:
    """The epochs that a trial trained, counted along its lineage."""
    return range(trial["from_epoch"] + 1, trial["from_epoch"] + trial["epochs"] + 1)


def check_optuna_agrees(store: Store, record: Any) -> None:
    import optuna

    url = store.database.url.replace("postgresql://", "postgresql+psycopg://")
    study = optuna.load_study(study_name=record.spec.name, storage=url)
    assert len(study.trials) == len(record.trials)
    for theirs, (_, ours) in zip(study.trials, record.trials.iterrows(), strict=True):
        assert theirs.number == ours["number"]
        assert theirs.state.name.lower() == ours["state"]
        assert theirs.value == pytest.approx(ours["value"])
        assert sorted(theirs.intermediate_values) == list(own_epochs(ours))
    told = study.user_attrs["bandstand:best"]
    assert (told["trial"], told["value"]) == (record.best.number, pytest.approx(record.best.value))
    assert told["value"] >= study.best_value  # Optuna's own counts complete trials only
