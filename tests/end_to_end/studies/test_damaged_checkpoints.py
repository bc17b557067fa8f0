"""A study that was stopped, whose checkpoints are damaged on the disk, is run again: it finishes, each epoch once."""

from __future__ import annotations

import os
import pickle
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.processes import let_it_train
from tests.end_to_end.harness.project import Project

EPOCHS = 40
STRATEGIES: dict[str, dict[str, Any]] = {
    "random": {"pruner": "none", "max_epochs": 20},
    "pbt": {"sampler": "pbt", "pruner": "", "sampler_options": {"population": 4, "interval": 1, "explore": ["rate"]}},
    "lr-restarts": {
        "sampler": "lr-restarts",
        "pruner": "",
        "sampler_options": {"parameter": "rate", "cycle_epochs": 2, "result": "average"},
    },
}


class Trap:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def damage(files: list[Path], trap: Path) -> None:
    """Cut one off, put an old pickle in the place of the next, flip a bit of the one after, and so on."""
    for index, file in enumerate(files):
        content = file.read_bytes()
        ways = [content[: len(content) // 2], pickle.dumps(Trap(trap)), content[:-1] + bytes([content[-1] ^ 1])]
        file.write_bytes(ways[index % 3])


def events_of(store: Store, name: str) -> list[Any]:
    event = tables.event
    with store.database.engine.connect() as connection:
        study = connection.execute(sa.select(tables.study.c.id).where(tables.study.c.name == name)).scalar_one()
        return list(connection.execute(sa.select(event).where(event.c.study_id == study).order_by(event.c.seq)))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_study_whose_checkpoints_are_damaged_while_it_is_stopped_finishes_with_every_epoch_counted_once(
    strategy: str, project: Project, store: Store, home: Path
) -> None:
    name = f"damaged-{strategy}"
    file = project.write_study(
        name=name, budget={"epochs": EPOCHS}, callbacks=["project:slow_journal"], checkpoint_every=1,
        **{"max_epochs": 6} | STRATEGIES[strategy],
    )  # fmt: skip
    first = project.start("run", str(file), "--workers", "2")
    let_it_train(first, store, name, 12, random.Random(1))
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=120)
    files = sorted(home.rglob("*.checkpoint"))
    assert files, output
    trap = project.folder / "trap"
    damage(files, trap)

    again = project.command("run", str(file), "--workers", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert not trap.exists()
    record = store.record(name)
    assert record.state == "finished"
    assert len(record.measurements) == EPOCHS
    begins = record.trials.set_index("number")["from_epoch"]
    for number, measured in record.measurements.groupby("trial")["epoch"]:
        assert list(measured) == list(range(begins[number] + 1, begins[number] + 1 + len(measured))), f"trial {number}"
    events = events_of(store, name)
    refusals = [event.data["reason"] for event in events if event.kind == "checkpoint_refused"]
    assert refusals
    forgotten = "was removed because no trial seemed to need it"  # a parent's, when its child had one of its own
    assert all(forgotten in reason or any(str(file) in reason for file in files) for reason in refusals), refusals
    assert any(str(file) in reason for file in files for reason in refusals)
    notes = [event.data["message"] for event in events if event.kind == "noticed"]
    assert any(reason in note for note in notes for reason in refusals)
    assert {event.data["reason"] for event in events if event.kind == "ended" and event.data["state"] == "failed"} <= {
        "parent_checkpoint"
    }
