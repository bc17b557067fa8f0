"""Databases of the release before, in which the package `bandstand_workers` was called `workers`."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
from alembic import command

from bandstand.search.search import Search
from bandstand.store import connecting
from bandstand.store.rows.plan_rows import read_plan, write_plan
from bandstand.store.store import Store
from bandstand.study.comparison_plan import make_plan
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import StudySpec
from tests.service.commands.in_process import Bandstand
from tests.service.optuna_storage.optuna_database import execute, make_database
from tests.service.store.written_study import flush, train_one

SPEC = """{"name": "old", "model": "workers.models.digits_mlp:build", "data": "workers.datasets.digits:load",\
 "space": {"zeta": {"type": "float", "low": 1e-05, "high": 1.0, "log": true, "step": null},\
 "alpha": {"type": "categorical", "choices": ["workers.models.digits_mlp:build", "é"]}},\
 "objective": {"metric": "val_loss", "direction": "minimize", "epoch": "best"}, "sampler": "random",\
 "sampler_options": {}, "pruner": "asha", "pruner_options": {}, "max_epochs": 9, "batch_size": 32,\
 "validation_batch_size": null,\
 "budget": {"epochs": 30, "trials": null, "wall_seconds": null, "gpu_hours": null}, "seed": 0,\
 "callbacks": ["workers.learning_rates:WarmRestarts", "train:stop", "workers.learning_rates.table:TableSchedule"],\
 "trainer": "auto", "executor": "actors",\
 "resources": {"cpus": 1, "gpus": 0, "memory_gb": null, "trials_at_once": 1}, "checkpoint_every": null,\
 "max_attempts": 3, "notes": "made with workers.models.digits_mlp:build"}"""
RENAMED = {
    '"model": "workers.models.digits_mlp:build"': '"model": "bandstand_workers.models.digits_mlp:build"',
    '"data": "workers.datasets.digits:load"': '"data": "bandstand_workers.datasets.digits:load"',
    '["workers.learning_rates:WarmRestarts"': '["bandstand_workers.learning_rates:WarmRestarts"',
    '"workers.learning_rates.table:TableSchedule"]': '"bandstand_workers.learning_rates.table:TableSchedule"]',
}
DATABASES = (f"package_names_{number}" for number in itertools.count())
OWN = ("workers:build", "workers.mine:build", "workers.models.mine:build", "my.workers.models.digits_mlp:build")
"""Modules of a user's own, whatever they are called: the old package had none of these."""


@pytest.fixture
def url(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of its own, which the environment names, at the release before's revision."""
    url = make_database(store, next(DATABASES))
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    engine = connecting.connect(url)
    engine.dispose()
    move(url, "0007")
    return url


def move(url: str, revision: str) -> None:
    ((current,),) = execute(url, "SELECT version_num FROM bandstand_store.alembic_version")
    engine = connecting.connect(url, any_schema=True)
    with engine.begin() as connection:
        change = command.downgrade if revision < current else command.upgrade  # "head" comes after all numbers
        change(connecting._alembic_config(connection), revision)
    engine.dispose()


def insert(url: str, spec: str, table: str = "study") -> None:
    values = {"study": "optuna_study_id, state) VALUES (%s, %s, 1, 'stopped')"}
    values["comparison"] = "arms, repeats) VALUES (%s, %s, '[]', 1)"
    name = json.loads(spec)["name"]
    execute(url, f"INSERT INTO bandstand_store.{table} (name, spec, {values[table]}", (name, spec))


def stored(url: str, table: str = "study") -> list[str]:
    return [text for (text,) in execute(url, f"SELECT spec::text FROM bandstand_store.{table} ORDER BY id")]


def renamed(text: str) -> str:
    for old, new in RENAMED.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("table", ["study", "comparison"])
def test_references_to_the_old_package_are_renamed_and_nothing_else_is(url: str, table: str) -> None:
    insert(url, json.dumps(json.loads(SPEC)), table)
    before = stored(url, table)
    move(url, "0008")
    assert stored(url, table) == [renamed(before[0])]
    move(url, "0007")
    assert stored(url, table) == before


@pytest.mark.parametrize("reference", OWN)
def test_a_users_own_modules_keep_their_names(url: str, reference: str) -> None:
    own = SPEC
    for name in (
        "workers.models.digits_mlp:build",
        "workers.datasets.digits:load",
        "workers.learning_rates:WarmRestarts",
    ):
        own = own.replace(name, reference)
    own = own.replace("workers.learning_rates.table:TableSchedule", "train:make")
    insert(url, own)
    move(url, "0008")
    assert stored(url) == [own]
    move(url, "0007")
    assert stored(url) == [own]


def test_a_study_from_before_goes_on_without_learning_from_failures(url: str) -> None:
    insert(url, json.dumps(json.loads(SPEC)))
    before = stored(url)
    move(url, "head")
    assert stored(url) == [renamed(before[0])[:-1] + ', "avoid_failures": null}']
    move(url, "0007")
    assert stored(url) == before


def test_what_optuna_says_of_a_study_is_renamed(url: str) -> None:
    attributes = {
        "bandstand:model": "workers.models.mnist_mlp:build", "bandstand:data": "workers.datasets.mnist:load",
        "mine": "workers.models.mnist_mlp:build",
    }  # fmt: skip
    execute(url, "INSERT INTO studies (study_id, study_name) VALUES (1, 'old')")
    for key, value in attributes.items():
        query = "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, %s, %s)"
        execute(url, query, (key, json.dumps(value)))
    before = said_by_optuna(url)
    move(url, "head")
    assert said_by_optuna(url) == {
        "bandstand:model": "bandstand_workers.models.mnist_mlp:build",
        "bandstand:data": "bandstand_workers.datasets.mnist:load",
        "mine": "workers.models.mnist_mlp:build",
    }
    move(url, "0007")
    assert said_by_optuna(url) == before


def said_by_optuna(url: str) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in execute(url, "SELECT key, value_json FROM study_user_attributes")}


def test_a_database_without_optunas_tables_is_upgraded(url: str) -> None:
    insert(url, SPEC)
    execute(url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    move(url, "head")
    assert "bandstand_workers.models" in stored(url)[0]


def test_every_module_that_is_renamed_is_there() -> None:
    path = next((connecting._MIGRATIONS / "versions").glob("0008_*.py"))
    spec = importlib.util.spec_from_file_location("package_names", path)
    assert spec is not None
    assert spec.loader is not None
    revision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(revision)
    assert len(revision.MODULES) > 10
    for module in revision.MODULES:
        assert importlib.util.find_spec(f"{revision.NEW}.{module}") is not None, module


@pytest.mark.parametrize("name", ["digits_mlp", "mnist_mlp", "mnist_lenet", "california_mlp"])
def test_a_built_in_study_that_was_stored_before_is_the_same_study_after(
    url: str, name: str, bandstand: Bandstand
) -> None:
    spec = find_study(name).spec
    plan = make_plan(f"{name}-comparison", spec, ["random"], 1)
    insert(url, as_it_was(spec))
    insert(url, as_it_was(plan.spec), "comparison")
    assert "it is at 0007: run `bandstand db upgrade`" in bandstand("list").err
    assert bandstand("db", "upgrade").code == 0
    store = Store(url)
    try:
        assert store.check_name(spec)
        assert store.spec(name) == spec
        with store.database.connection() as connection, connection.begin():
            write_plan(connection, plan)  # refuses another comparison of this name
            assert read_plan(connection, plan.name).spec == plan.spec
        assert name in bandstand("list").out
        assert bandstand("show", name).code == 0
    finally:
        store.close()


def as_it_was(spec: StudySpec) -> str:
    text = json.dumps(spec.model_dump(mode="json"))
    assert text.count('"bandstand_workers.') == 2
    return text.replace('"bandstand_workers.', '"workers.')


@pytest.mark.slow
def test_a_study_of_the_release_before_goes_on_after_the_upgrade(url: str, home: Any) -> None:
    old = json.loads(as_it_was(find_study("digits_mlp").spec)) | {"name": "old", "budget": {"epochs": 40}}
    move(url, "head")
    write_trials(url, StudySpec.model_validate(old), 3)
    move(url, "0008")
    execute(url, "UPDATE bandstand_store.alembic_version SET version_num = '0007'")  # 0008 changes rows, no table
    assert "workers.models" in stored(url)[0]
    assert run("db", "upgrade").returncode == 0
    done = run("run", "old", "--resume")
    assert done.returncode == 0, done.stderr
    assert "continuing after 3 trials, " in done.stdout + done.stderr
    store = Store(url)
    record = store.record("old")
    store.close()
    assert record.state == "finished"
    assert len(record.measurements) == 40
    assert record.best.value > 0.5


def write_trials(url: str, spec: StudySpec, trials: int) -> None:
    """As a coordinator would, that was stopped then."""
    store = Store(url)
    writer = store.claim(spec, "a test")
    search = Search.restore(writer.spec, writer.events())
    writer.catch_up_mirror(search.history)
    for _ in range(trials):
        train_one(search, metrics={"val_accuracy": 0.5})
        flush(search, writer)
    writer.set_study(state="stopped")
    writer.close()
    store.close()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bandstand", *arguments], capture_output=True, text=True, timeout=300)
