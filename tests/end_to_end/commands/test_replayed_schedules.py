"""What a real study found on the way, exported and trained again from fresh weights by one command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand_workers.learning_rates import TableSchedule
from tests.end_to_end.harness.project import Project

pytestmark = pytest.mark.slow

STUDIES: dict[str, dict[str, Any]] = {
    "pbt": {"sampler_options": {"population": 3, "interval": 2, "fraction": 0.5}, "budget": {"trials": 3}},
    "lr-restarts": {
        "sampler_options": {"parameter": "rate", "cycle_epochs": 2, "configurations": 2}, "budget": {"epochs": 12},
    },
}  # fmt: skip


def lineage(record: StudyRecord, trial: int, last: int) -> list[tuple[dict[str, Any], float]]:
    """The params and the measured learning rate of each epoch on the way to a trial's epoch."""
    rates = record.measurements.set_index(["trial", "epoch"])["learning_rate"]
    row = record.trials.loc[trial]
    params = {"units": int(row["params_units"]), "rate": float(row["params_rate"])}
    own = [(params, float(rates[trial, epoch])) for epoch in range(int(row["from_epoch"]) + 1, last + 1)]
    before = [] if pd.isna(row["parent"]) else lineage(record, int(row["parent"]), int(row["from_epoch"]))
    return before + own


def trained(project: Project) -> list[str]:
    """What the training itself wrote down: params and epoch, a line each."""
    return (project.folder / "journal").read_text().splitlines()


@pytest.mark.parametrize("sampler", list(STUDIES))
def test_a_replay_has_the_params_and_the_learning_rate_of_every_epoch_and_tells_its_result_beside_the_original(
    sampler: str, project: Project, store: Store
) -> None:
    name = f"found-by-{sampler}"
    file = project.write_study(
        name=name, sampler=sampler, pruner="", max_epochs=6, callbacks=["project:journal"], **STUDIES[sampler]
    )
    done = project.command("run", str(file), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    original = store.record(name)
    children = original.trials[original.trials["parent"].notna() & original.trials["value"].notna()]
    trial = int(children["number"].iloc[-1])
    expected = lineage(original, trial, int(children.loc[trial, "best_epoch"]))
    assert len({tuple(params.values()) for params, _ in expected}) > 1, "nothing changed on the way"

    exported = project.command("schedule", name, "--trial", str(trial), "-o", "schedule.json")
    assert exported.returncode == 0, exported.stderr
    schedule = TableSchedule.load(project.folder / "schedule.json", steps_per_epoch=3)
    rates = [float(schedule(3 * epoch + 1)) for epoch in range(len(expected))]
    assert rates == pytest.approx([rate for _, rate in expected], rel=1e-6)

    before = len(trained(project))
    replayed = project.command("replay", name, "--trial", str(trial), "--as", f"{name}-again")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    replay = store.record(f"{name}-again")
    measured = replay.measurements.sort_values("epoch")
    assert list(measured["epoch"]) == list(range(1, len(expected) + 1))
    assert list(measured["learning_rate"]) == [rate for _, rate in expected]
    assert trained(project)[before:] == [
        f"{sorted(params.items())!r}\t{epoch}" for epoch, (params, _) in enumerate(expected, start=1)
    ]

    assert replay.best is not None
    assert replay.test_metrics is not None
    assert Path(str(replay.best.model_path)).is_file()
    sentence = (
        f"trial {trial} of {name} reached val_accuracy {children.loc[trial, 'value']:.6g}; its replay from new random "
        f"weights, {name}-again, reached val_accuracy {replay.best.value:.6g}"
    )
    assert replayed.stdout.splitlines()[-1] == sentence
    for study in (name, f"{name}-again"):
        assert sentence in project.command("best", study).stdout.splitlines()
    told = json.loads(project.command("best", name, "--json").stdout)["replays"]
    assert [(each["replay"], each["replay_value"]) for each in told] == [(f"{name}-again", replay.best.value)]
