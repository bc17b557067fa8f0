"""A replay's result beside the trial that it came from, wherever either of the two studies is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandstand.search.protocol import Assignment
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.store.reading.params_by_epoch import replay_spec
from bandstand.store.records import StudyRecord
from bandstand.store.rows.study_rows import delete_row
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from tests.service.commands.in_process import Bandstand
from tests.service.store.written_study import flush, make_spec, train_lineages

SPACE = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}}


def write(store: Store, spec: StudySpec, scale: float = 1.0) -> StudyRecord:
    def value_at(given: Assignment, epoch: int) -> float:
        return scale / (2 + given.trial)

    train_lineages(store, spec, value_at, lambda given, epoch: float(given.params["learning_rate"]))
    return store.record(spec.name)


def population() -> StudySpec:
    return make_spec(
        space=SPACE, sampler="pbt", sampler_options={"population": 3, "interval": 2}, pruner="", max_epochs=6,
        budget={"trials": 3},
    )  # fmt: skip


def best_of(record: StudyRecord) -> tuple[int, float]:
    assert record.best is not None
    return record.best.number, record.best.value


def write_replay(store: Store, original: StudyRecord, suffix: str = "replay", trial: int | None = None) -> StudyRecord:
    name = original.spec.name
    return write(store, replay_spec(store.params_by_epoch(name, trial), f"{name}-{suffix}"), scale=1.5)


@pytest.fixture(scope="module")
def original(store: Store) -> StudyRecord:
    return write(store, population())


@pytest.fixture(scope="module")
def replay(store: Store, original: StudyRecord) -> StudyRecord:
    return write_replay(store, original)


def sentence(original: StudyRecord, replay: StudyRecord) -> str:
    trial, value = best_of(original)
    return (
        f"trial {trial} of {original.spec.name} reached val_loss {value:.6g}; its replay from new random "
        f"weights, {replay.spec.name}, reached val_loss {best_of(replay)[1]:.6g}"
    )


def delete(store: Store, name: str) -> None:
    with store.database.connection() as connection, connection.begin():
        delete_row(connection, name)
    store.delete_optuna_studies([name])


@pytest.mark.parametrize("command", ["best", "show", "schedule"])
def test_both_studies_tell_what_the_trial_reached_and_what_its_replay_did(
    command: str, bandstand: Bandstand, original: StudyRecord, replay: StudyRecord
) -> None:
    assert best_of(original)[1] != best_of(replay)[1]
    for record in (original, replay):
        said = bandstand(command, record.spec.name)
        assert said.code == 0
        assert said.out.splitlines().count(sentence(original, replay)) == 1, said.out


def test_programs_are_told_too(bandstand: Bandstand, original: StudyRecord, replay: StudyRecord) -> None:
    trial, value = best_of(original)
    expected = [
        {
            "study": original.spec.name,
            "trial": trial,
            "metric": "val_loss",
            "value": value,
            "replay": replay.spec.name,
            "replay_state": "finished",
            "replay_value": best_of(replay)[1],
        }
    ]
    for record in (original, replay):
        assert json.loads(bandstand("best", record.spec.name, "--json").out)["replays"] == expected
        assert json.loads(bandstand("show", record.spec.name, "--json").out)["best"]["replays"] == expected


@pytest.mark.parametrize("style", ["report", "writeup"])
def test_the_reports_of_both_tell_it_with_the_lineages(
    style: str, bandstand: Bandstand, original: StudyRecord, replay: StudyRecord, tmp_path: Path
) -> None:
    told = f"T{sentence(original, replay)[1:]}."
    section = {"report": "lineage", "writeup": "results"}[style]
    for record in (original, replay):
        file = tmp_path / "report.json"
        assert bandstand("report", record.spec.name, "-o", str(file), "--style", style).code == 0
        sections = {found["name"]: found["blocks"] for found in json.loads(file.read_text())["sections"]}
        assert [block["text"] for block in sections[section] if block.get("text") == told] == [told]


def test_a_study_without_replays_says_nothing_of_them(bandstand: Bandstand, store: Store, replay: StudyRecord) -> None:
    other = write(store, population())
    assert other.replays == []
    for command in ("best", "show", "schedule"):
        assert "trained again" not in bandstand(command, other.spec.name).out


def test_a_schedule_tells_the_replays_of_its_own_trial_and_the_study_those_of_all(store: Store) -> None:
    original = write(store, population())
    replay = write_replay(store, original)
    first = write_replay(store, original, "first", trial=0)
    again = write_replay(store, replay, "again")
    name = original.spec.name
    assert [found.replay for found in store.record(name).replays] == [replay.spec.name, first.spec.name]
    assert [found.replay for found in store.params_by_epoch(name).replays] == [replay.spec.name]
    assert [found.replay for found in store.params_by_epoch(name, 0).replays] == [first.spec.name]
    found = store.record(replay.spec.name).replays
    assert [(each.study, each.replay) for each in found] == [
        (name, replay.spec.name),
        (replay.spec.name, again.spec.name),
    ]


def test_a_replay_that_has_not_finished_says_how_far_it_is(bandstand: Bandstand, store: Store) -> None:
    name = write(store, population()).spec.name
    spec = replay_spec(store.params_by_epoch(name), f"{name}-begun")
    store.claim(spec, "a test").close()
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.update(tables.study).where(tables.study.c.name == spec.name).values(state="stopped"))
    assert f"weights, {spec.name}, has no value yet (stopped)\n" in bandstand("best", name).out


def test_a_replay_outlives_its_original_and_is_not_taken_for_that_of_another_one_of_the_name(
    bandstand: Bandstand, store: Store
) -> None:
    original = write(store, population())
    replay = write_replay(store, original)
    gone = f"trial {best_of(original)[0]} of {original.spec.name} was deleted; its replay from new random"
    delete(store, original.spec.name)
    assert gone in bandstand("best", replay.spec.name).out
    assert write(store, original.spec).replays == []
    assert gone in bandstand("best", replay.spec.name).out


def test_a_replay_written_by_hand_needs_no_original(store: Store) -> None:
    segments = [{"params": {"learning_rate": 0.01}, "epochs": 2}]
    options = [{"segments": segments}, {"segments": segments, "trial": 1}, {"segments": segments, "study": "mine"}]
    for each in options:
        spec = make_spec(
            space=SPACE, sampler="replay", sampler_options=each, pruner="", max_epochs=2, budget={"epochs": 2}
        )
        assert write(store, spec).replays == []


def test_a_replay_knows_the_data_of_the_study_that_it_replays(store: Store) -> None:
    original = write(store, population())
    splits = {
        "train": [{"name": "x", "type": "<f4", "shape": [3, 1], "digest": "a", "sketch": [0.5], "tolerance": 1e-5}]
    }
    writer = store.claim(original.spec, "test")
    search = Search.restore(original.spec, writer.events())
    search.data.see(splits)  # type: ignore[arg-type]  # a TypedDict, written as JSON
    flush(search, writer)
    writer.close()
    replay = write_replay(store, original)
    assert store.replayed_data(replay.spec.name) == splits
    assert store.replayed_data(original.spec.name) is None
    delete(store, original.spec.name)
    assert store.replayed_data(replay.spec.name) is None
    write(store, original.spec)  # of the same name, made later: not what was replayed
    assert store.replayed_data(replay.spec.name) is None
