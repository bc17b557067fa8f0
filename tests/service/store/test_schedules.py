"""What a lineage was trained with, from the database to the screen, a file and a replay; no trainer takes part."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest

from bandstand.search.protocol import Assignment
from bandstand.store.reading.params_by_epoch import replay_spec, write_params_by_epoch
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand_workers.learning_rates import TableSchedule
from tests.service.commands.in_process import Bandstand
from tests.service.store.written_study import make_spec, train_lineages

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "units": {"type": "int", "low": 4, "high": 40},
}
CYCLES = {"cycle_epochs": 2, "configurations": 2}
STUDIES: dict[str, dict[str, Any]] = {
    "pbt": {"sampler": "pbt", "sampler_options": {"population": 4, "interval": 2}, "budget": {"trials": 4}},
    "restarts-last": {"sampler": "lr-restarts", "sampler_options": CYCLES, "budget": {"epochs": 16}},
    "restarts-best": {
        "sampler": "lr-restarts", "sampler_options": CYCLES | {"weights": "best"}, "budget": {"epochs": 16},
    },
}  # fmt: skip
STEPS = 7


def later_is_better(given: Assignment, epoch: int) -> float:
    """A later trial is better than an earlier one, and the first epoch of an interval better than its second."""
    return 1 / (2 + given.trial) + 0.01 * (epoch % 2 == 0)


def set_or_of_params(given: Assignment, epoch: int) -> float:
    """The rate that the strategy set for this epoch, else the param that a builder would give to its optimizer."""
    if given.learning_rates:
        return given.learning_rates[epoch - given.first_epoch]
    return float(given.params["learning_rate"])


class Step(NamedTuple):
    """A trial of a lineage, and its epochs that belong to it."""

    trial: int
    epochs: list[int]


class Written(NamedTuple):
    """A study, with the way to its best trial as its trials and measurements tell it."""

    record: StudyRecord
    path: list[Step]

    @property
    def name(self) -> str:
        return self.record.spec.name

    def params(self, trial: int) -> dict[str, Any]:
        row = self.record.trials.loc[trial]
        return {name: row[f"params_{name}"] for name in SPACE}

    def rates(self, step: Step) -> list[float]:
        measured = self.record.measurements.set_index(["trial", "epoch"])["learning_rate"]
        return [measured[step.trial, epoch] for epoch in step.epochs]

    @property
    def all_rates(self) -> list[float]:
        return [rate for step in self.path for rate in self.rates(step)]


def path_to_the_best(record: StudyRecord) -> list[Step]:
    assert record.best is not None
    path: list[Step] = []
    trial, last = record.best.number, record.best.epoch
    while True:
        row = record.trials.loc[trial]
        path.insert(0, Step(trial, list(range(int(row["from_epoch"]) + 1, last + 1))))
        if pd.isna(row["parent"]):
            return path
        takes_best = record.spec.sampler_options.get("weights") == "best"
        trial = int(row["parent"])
        last = int(record.trials.loc[trial, "best_epoch"] if takes_best else row["from_epoch"])


def write(store: Store, kind: str, rate_at: Callable[[Assignment, int], float | None] = set_or_of_params) -> Written:
    spec = make_spec(space=SPACE, pruner="", max_epochs=8, **STUDIES[kind])
    train_lineages(store, spec, later_is_better, rate_at)
    record = store.record(spec.name)
    written = Written(record, path_to_the_best(record))
    assert len(written.path) > 2, "the best trial has a parent and a grandparent, else this shows little"
    return written


@pytest.fixture(scope="module", params=list(STUDIES))
def written(request: pytest.FixtureRequest, store: Store) -> Written:
    """A study that has found something worth replaying."""
    return write(store, request.param)


@pytest.fixture(scope="module")
def population(store: Store) -> Written:
    return write(store, "pbt")


def test_the_table_has_a_line_for_each_trial_of_the_lineage(bandstand: Bandstand, written: Written) -> None:
    said = bandstand("schedule", written.name)
    assert (said.code, said.err) == (0, "")
    title, header, *lines = said.out.splitlines()
    best, epochs = written.record.best, sum(len(step.epochs) for step in written.path)
    assert best is not None
    assert title == f"{written.name}: how trial {best.number} reached val_loss {best.value:.4f} after {epochs} epochs"
    assert header.split() == ["epochs", "trial", "learning", "rate", "params", "(first", "all,", "then", "changes)"]
    first = 1
    for step, line in zip(written.path, lines, strict=False):
        rates, last = written.rates(step), first + len(step.epochs) - 1
        shown = f"{rates[0]:.3g}" if rates[0] == rates[-1] else f"{rates[0]:.3g} to {rates[-1]:.3g}"
        span = f"{first}" if first == last else f"{first} to {last}"
        assert [cell.strip() for cell in re.split(r" {2,}", line)[:3]] == [span, str(step.trial), shown]
        first = last + 1
    assert lines[len(written.path)].startswith("`-o FILE.json` or `-o FILE.csv` writes every epoch")


def test_the_file_has_every_epoch_with_its_rate_and_every_parameter(
    bandstand: Bandstand, written: Written, tmp_path: Path
) -> None:
    best = written.record.best
    assert best is not None
    for name in ("schedule.json", "schedule.csv"):
        said = bandstand("schedule", written.name, "-o", str(tmp_path / name))
        assert (said.code, said.err) == (0, "")
        count = len(written.all_rates)
        assert said.out == f"{tmp_path / name}: {count} epochs of trial {best.number} and its ancestors\n"
    content = json.loads((tmp_path / "schedule.json").read_text())
    assert (content["study"], content["trial"], content["metric"]) == (written.name, best.number, "val_loss")
    assert content["value"] == best.value
    assert content["learning_rates"] == written.all_rates
    trials = [step.trial for step in written.path for _ in step.epochs]
    assert content["epochs"] == [
        {"epoch": epoch, "trial": trial, "learning_rate": rate}
        | {f"params_{name}": value for name, value in written.params(trial).items()}
        for epoch, (trial, rate) in enumerate(zip(trials, written.all_rates, strict=True), start=1)
    ]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "schedule.csv"), pd.DataFrame(content["epochs"]))


def test_keras_trains_each_epoch_with_the_rate_of_the_file_and_can_save_the_schedule(
    store: Store, written: Written, tmp_path: Path
) -> None:
    path = tmp_path / "schedule.json"
    write_params_by_epoch(store.params_by_epoch(written.name), path)
    schedule = TableSchedule.load(path, steps_per_epoch=STEPS)
    copies = [
        TableSchedule.from_config(json.loads(json.dumps(schedule.get_config()))),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule)),
    ]
    for copy in (schedule, *copies):
        assert isinstance(copy, TableSchedule)
        optimizer = keras.optimizers.SGD(copy)
        weight = keras.Variable(np.zeros(1, "float32"))
        optimizer.build([weight])
        seen = []
        for _ in range(STEPS * len(written.all_rates)):
            seen.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
            optimizer.apply([keras.ops.ones(1)])
        assert seen == pytest.approx([rate for rate in written.all_rates for _ in range(STEPS)], rel=1e-6)


def test_a_replay_has_the_segments_of_the_lineage_in_order_and_the_study_s_other_settings(
    store: Store, written: Written
) -> None:
    spec = replay_spec(store.params_by_epoch(written.name), f"{written.name}-replay")
    assert (spec.name, spec.sampler, spec.pruner) == (f"{written.name}-replay", "replay", "")
    options = spec.sampler_options
    assert (options["study"], options["trial"]) == (written.name, written.path[-1].trial)
    sets_rates = written.record.spec.sampler == "lr-restarts"
    assert options["segments"] == [
        {
            "params": written.params(step.trial),
            "epochs": len(step.epochs),
            "learning_rates": written.rates(step) if sets_rates else [],
        }
        for step in written.path
    ]
    count = len(written.all_rates)
    assert (spec.max_epochs, spec.budget.epochs, spec.budget.trials) == (count, count, None)
    changed = {"name", "sampler", "sampler_options", "pruner", "pruner_options", "max_epochs", "budget"}
    before = written.record.spec.model_dump(exclude=changed)
    assert spec.model_dump(exclude=changed) == before


def test_a_replay_trains_each_epoch_as_the_lineage_did(store: Store, written: Written) -> None:
    name = f"{written.name}-replayed"
    train_lineages(store, replay_spec(store.params_by_epoch(written.name), name), later_is_better, set_or_of_params)
    replay = store.record(name)
    measured = replay.measurements.sort_values("epoch")
    assert list(measured["epoch"]) == list(range(1, len(written.all_rates) + 1))
    assert list(measured["learning_rate"]) == written.all_rates
    params = [{key: replay.trials.loc[trial, f"params_{key}"] for key in SPACE} for trial in measured["trial"]]
    assert params == [written.params(step.trial) for step in written.path for _ in step.epochs]
    parents = [None if pd.isna(parent) else int(parent) for parent in replay.trials["parent"]]
    assert parents == [None, *range(len(written.path) - 1)]
    assert (replay.state, set(replay.trials["state"])) == ("finished", {"complete"})


def test_another_trial_s_schedule_ends_with_that_trial(bandstand: Bandstand, store: Store, population: Written) -> None:
    found = store.params_by_epoch(population.name, 0)
    assert [segment.trial for segment in found.segments] == [0]
    assert found.value == population.record.trials.loc[0, "value"]
    assert "how trial 0 reached" in bandstand("schedule", population.name, "--trial", "0").out


def test_what_has_no_schedule_is_refused_in_one_line(
    bandstand: Bandstand, store: Store, population: Written, tmp_path: Path
) -> None:
    empty = make_spec(sampler="random")
    store.claim(empty, "a test").close()
    name, none = population.name, "a schedule needs a trial that has a value; "
    for arguments, line in (
        (
            ("schedule", "nowhere"),
            "there is no study 'nowhere' in this database; the latest are ",
        ),
        (
            ("replay", "nowhere"),
            "there is no study 'nowhere' in this database; the latest are ",
        ),
        (
            ("schedule", empty.name),
            f"{none}study {empty.name!r} has no trial with a value: `bandstand show` lists its trials",
        ),
        (
            ("replay", empty.name),
            f"{none}study {empty.name!r} has no trial with a value: `bandstand show` lists its trials",
        ),
        (
            ("schedule", name, "--trial", "99"),
            f"{none}study {name!r} has no trial 99 with a value: `bandstand show` lists its trials",
        ),
        (("schedule", name, "-o", str(tmp_path / "x.txt")), "the file must end in .json or .csv; got 'x.txt'"),
        (("schedule", name, "-o", str(tmp_path / "no/x.json")), "the file's folder must exist; "),
        (("export", name, "-o", str(tmp_path / "no/x.csv")), "the file's folder must exist; "),
        (("replay", name, "--as", name), f"a name belongs to one study; {name!r} exists with other settings ("),
    ):
        said = bandstand(*arguments)
        assert (said.code, said.out) == (2, ""), arguments
        assert said.err.startswith(f"bandstand: {line}"), said.err
        assert said.err.count("\n") == 1, said.err
    assert list(tmp_path.iterdir()) == []


def test_where_an_optimizer_told_no_rate_the_command_says_so_and_keras_refuses_the_file(
    bandstand: Bandstand, store: Store, tmp_path: Path
) -> None:
    def unknown_in_the_first(given: Assignment, epoch: int) -> float | None:
        return None if epoch == 1 else 0.01

    study = write(store, "pbt", unknown_in_the_first)
    path = tmp_path / "schedule.json"
    said = bandstand("schedule", study.name, "-o", str(path))
    assert said.code == 0
    assert said.out.splitlines()[1] == (
        "1 epoch has no learning rate, because the optimizer told none; `TableSchedule.load` cannot read this file"
    )
    assert json.loads(path.read_text())["learning_rates"][:2] == [None, 0.01]
    with pytest.raises(ValueError, match=r"^the file must hold a learning rate for each epoch, as `bandstand .*'$"):
        TableSchedule.load(path, steps_per_epoch=STEPS)
    assert bandstand("schedule", study.name).code == 0
    assert replay_spec(store.params_by_epoch(study.name), "again").max_epochs == len(study.all_rates)


def test_a_schedule_that_ray_tune_found_is_replayed_under_ray_tune(store: Store, population: Written) -> None:
    found = store.params_by_epoch(population.name)
    settings = population.record.spec.model_dump(mode="json")
    tuned = StudySpec.model_validate(settings | {"sampler": "tune-pbt", "executor": "tune"})
    spec = replay_spec(dataclasses.replace(found, spec=tuned), "again")
    assert (spec.sampler, spec.executor) == ("replay", "tune")
