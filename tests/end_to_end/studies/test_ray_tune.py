"""Whole studies under Ray Tune on real PostgreSQL: the trials are those of our own actors, whoever is killed."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import optuna
import pandas as pd
import psutil
import pytest
import sqlalchemy as sa

from bandstand.running.live_display import NoDisplay
from bandstand.running.messages import StudyOutcome
from bandstand.running.run import RunOptions, run_studies
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.processes import kill_one, let_it_train
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.stored_study import check_optuna_agrees, check_what_is_stored
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PLANTED = "pl4nted-in-tune"
PORT = 31117  # Ray uses none near it
PARTS_OF_THE_URL = re.compile(rf"{PLANTED}|postgres(ql)?(\+psycopg)?://|(port=|:){PORT}\b".encode())
POPULATION = {"population": 4, "interval": 2, "fraction": 0.5}
STUDIES: dict[str, dict[str, Any]] = {
    "same-by-actors": {"budget": {"epochs": 24}},
    "same-by-tune": {"budget": {"epochs": 24}, "executor": "tune"},
    "tune-promotes": {"budget": {"epochs": 30}, "executor": "tune", "pruner": "asha-promote"}
    | {"pruner_options": {"min_epochs": 1}},
    "tune-dies": {"budget": {"trials": 5}, "pruner": "none", "max_attempts": 2, "executor": "tune"}
    | {"callbacks": ["project:dies_in_small_models"]},
    "tune-memory": {"budget": {"trials": 2}, "pruner": "none", "max_epochs": 1, "resources": {"memory_gb": 0.2}}
    | {"executor": "tune"},
    "lineages-pbt": {"budget": {"trials": 4}, "sampler": "tune-pbt", "pruner": "", "max_epochs": 8}
    | {"sampler_options": POPULATION, "executor": "tune"},
    "lineages-pb2": {"budget": {"epochs": 30}, "sampler": "tune-pb2", "pruner": "", "max_epochs": 10}
    | {"sampler_options": POPULATION, "executor": "tune"},
}


@pytest.fixture(scope="module")
def outcomes(home: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyOutcome]:
    """The outcome of every study, all run one after the other by one process of workers."""
    project = Project(tmp_path_factory.mktemp("tune"))
    specs = [StudySpec.model_validate(project.settings(name=name, **changes)) for name, changes in STUDIES.items()]
    return run_studies(store, specs, RunOptions(workers=1, code_path=[str(project.folder)]), NoDisplay())


@pytest.fixture
def record(store: Store, outcomes: dict[str, StudyOutcome]) -> Any:
    return store.record


def optuna_study(store: Store, name: str) -> optuna.Study:
    return optuna.load_study(
        study_name=name, storage=store.database.url.replace("postgresql://", "postgresql+psycopg://")
    )


def test_all_finish_and_tune_s_folder_is_empty(outcomes: dict[str, StudyOutcome], home: Path) -> None:
    assert {name: outcome.state for name, outcome in outcomes.items()} == dict.fromkeys(STUDIES, "finished")
    assert list((home / "tune").iterdir()) == []


def test_with_one_worker_the_trials_are_those_of_the_actors(record: Any) -> None:
    actors, tune = record("same-by-actors"), record("same-by-tune")
    assert {"complete", "pruned"} == set(tune.trials["state"])
    columns = ["number", "state", "reason", "value", "epochs", "attempts", "params_units", "params_rate"]
    pd.testing.assert_frame_equal(tune.trials[columns], actors.trials[columns])
    logs = ["trial", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    pd.testing.assert_frame_equal(tune.measurements[logs], actors.measurements[logs])
    assert tune.test_metrics == actors.test_metrics
    assert Path(tune.best.model_path).exists()


@pytest.mark.parametrize("name", ["same-by-tune", "tune-promotes", "lineages-pbt"])
def test_optuna_has_every_state_and_every_report(name: str, record: Any, store: Store) -> None:
    study = record(name)
    states = {trial.state.name.lower() for trial in optuna_study(store, name).trials}
    assert states == set(study.trials["state"])
    if name != "lineages-pbt":
        check_optuna_agrees(store, study)


def test_a_trial_that_pauses_goes_on_in_another_tune_trial(record: Any) -> None:
    study = record("tune-promotes")
    assert len(study.measurements) == 30
    later = study.attempts[study.attempts["attempt"] > 1]
    assert len(later) > 0
    assert (later["from_epoch"] > 0).all()
    before = study.attempts.set_index(["trial", "attempt"])["outcome"]
    assert {before[row.trial, row.attempt - 1] for row in later.itertuples()} == {"paused"}


def test_a_trial_that_kills_its_process_is_begun_again_and_then_given_up(record: Any) -> None:
    dies = record("tune-dies")
    small = dies.trials[dies.trials["params_units"] < 12]
    assert 0 < len(small) < len(dies.trials)
    assert set(small["state"]) == {"failed"}
    assert set(small["attempts"]) == {2}
    assert set(small["reason"]) == {"worker_died"}
    assert set(dies.trials.drop(small.index)["state"]) == {"complete"}


def test_a_process_that_has_grown_is_replaced_at_no_trial_s_cost(record: Any) -> None:
    memory = record("tune-memory")
    assert set(memory.trials["state"]) == {"complete"}
    assert set(memory.trials["attempts"]) == {1}


def check_lineages(study: StudyRecord, store: Store) -> None:
    """Whoever was cloned is the parent of a child in the place of a trial that ended for it; Optuna says the same."""
    children = study.trials[study.trials["parent"].notna()]
    assert len(children) > 0
    theirs = optuna_study(store, study.spec.name).trials
    for _, child in children.iterrows():
        parent = study.trials.loc[int(child["parent"])]
        assert 0 < child["from_epoch"] <= parent["epochs"]
        assert child["params_units"] == parent["params_units"]
        assert "as Ray Tune decided" in child["origin"]
        before = int(child["origin"].split("replaces trial ")[1].split(":")[0])
        ended = study.trials.loc[before]
        assert (ended["state"], ended["bracket"]) == ("pruned", child["bracket"])
        assert f"Ray Tune clones trial {int(child['parent'])} instead" in ended["reason"]
        attributes = theirs[child["number"]].user_attrs
        assert (attributes["parent"], attributes["from_epoch"]) == (child["parent"], child["from_epoch"])
        own = study.measurements[study.measurements["trial"] == child["number"]]["epoch"]
        assert list(own) == list(range(child["from_epoch"] + 1, child["from_epoch"] + child["epochs"] + 1))


def test_tune_s_pbt_is_recorded_as_lineages(record: Any, store: Store) -> None:
    study = record("lineages-pbt")
    check_lineages(study, store)
    assert study.trials["parent"].isna().sum() == 4
    assert study.best is not None
    assert Path(study.best.model_path).exists()
    assert set(study.test_metrics) == {"loss", "accuracy"}


def test_tune_s_pb2_is_recorded_as_lineages_and_keeps_to_the_budget(record: Any, store: Store) -> None:
    study = record("lineages-pb2")
    check_lineages(study, store)
    assert len(study.measurements) == 30
    changed = study.trials[study.trials["parent"].notna()]
    assert changed["params_rate"].between(1e-3, 1e-1).all()


def test_a_study_survives_the_death_of_tune_s_processes_its_coordinator_and_everything(
    project: Project, store: Store, home: Path
) -> None:
    rng = random.Random(1)
    settings = {"budget": {"epochs": 90}, "callbacks": ["project:slow_journal"], "max_attempts": 5}
    file = project.write_study(name="tune-killed", executor="tune", **settings)
    arguments = ("run", str(file), "--workers", "2")

    first = project.start(*arguments)
    let_it_train(first, store, "tune-killed", 6, rng)
    kill_one(first, "CallTrainable", rng)
    let_it_train(first, store, "tune-killed", 8, rng)
    kill_one(first, "TuneCoordinator", rng)
    let_it_train(first, store, "tune-killed", 8, rng)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert list((home / "tune").iterdir()) != []

    last = project.command(*arguments)
    assert last.returncode == 0, last.stdout + last.stderr
    check_what_is_stored(store, "tune-killed", project, epochs=90)
    assert list((home / "tune").iterdir()) == [], "what the killed process left goes too"


def test_a_population_goes_on_with_its_members_after_a_kill(project: Project, store: Store) -> None:
    rng = random.Random(2)  # 64 epochs, so that some are left on a busy machine, too, when it is killed the second time
    file = project.write_study(
        name="population-killed", executor="tune", sampler="tune-pbt", pruner="", sampler_options=POPULATION,
        max_epochs=16, budget={"trials": 4}, callbacks=["project:slow_journal"],
    )  # fmt: skip
    arguments = ("run", str(file), "--workers", "2")
    first = project.start(*arguments)
    let_it_train(first, store, "population-killed", 6, rng)
    kill_one(first, "MemberTrainable", rng)
    let_it_train(first, store, "population-killed", 5, rng)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()

    last = project.command(*arguments)
    assert last.returncode == 0, last.stdout + last.stderr
    study = store.record("population-killed")
    assert study.trials["parent"].isna().sum() == 4
    assert set(study.trials["state"]) <= {"complete", "pruned"}
    assert not study.measurements.duplicated(["trial", "epoch"]).any()
    for bracket, members in study.trials.groupby("bracket"):
        last_member = members.iloc[-1]
        assert last_member["from_epoch"] + last_member["epochs"] == 16, f"slot {bracket}"


def test_a_stopped_study_goes_on_and_counts_once(project: Project, store: Store) -> None:
    file = project.write_study(
        name="tune-stopped", executor="tune", budget={"epochs": 20}, callbacks=["project:slow_journal"]
    )
    arguments = ("run", str(file), "--workers", "1")
    command = project.start(*arguments)
    let_it_train(command, store, "tune-stopped", 3, random.Random(3))
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=120)
    assert command.returncode == 130, output
    assert store.record("tune-stopped").state == "stopped"
    done = project.command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    study = store.record("tune-stopped")
    assert study.state == "finished"
    assert len(study.measurements) == 20


def plant_address(store: Store, folder: Path) -> str:
    """The URL of a new database whose user, password, name and host are found nowhere else, nor is the port.

    The host is a folder with a link to the server's socket, which is called after the port.
    """
    user = name = f"{PLANTED}-{folder.name}"
    host = folder / f"{PLANTED}-host"
    host.mkdir()
    (socket,) = Path(unquote(store.database.url.partition("?host=")[2])).glob(".s.PGSQL.*[0-9]")
    (host / f".s.PGSQL.{PORT}").symlink_to(socket)
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"CREATE ROLE \"{user}\" SUPERUSER LOGIN PASSWORD '{PLANTED}-password'"))
    make_database(store, name)
    return f"postgresql://{user}:{PLANTED}-password@/{name}?host={quote(str(host), safe='')}&port={PORT}"


SEARCHED: dict[str, dict[str, Any]] = {
    "random": {"budget": {"epochs": 30}},
    "tune-pbt": {"sampler": "tune-pbt", "pruner": "", "max_epochs": 8, "budget": {"trials": 4}}
    | {"sampler_options": POPULATION},
    "tune-pb2": {"sampler": "tune-pb2", "pruner": "", "max_epochs": 8, "budget": {"trials": 4}}
    | {"sampler_options": POPULATION},
}


@pytest.mark.parametrize("sampler", list(SEARCHED))
def test_no_part_of_the_database_s_url_is_in_any_file_of_tune_s(
    sampler: str, project: Project, store: Store, home: Path, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch, temporary: Path,
) -> None:  # fmt: skip
    url = plant_address(store, tmp_path_factory.mktemp(sampler))
    assert len(PARTS_OF_THE_URL.findall(url.encode())) == 6, "scheme, user, password, database, host, port"
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    monkeypatch.setenv("BANDSTAND_KEEP_RAY_FILES", "1")
    settings = {"name": f"secrets-{sampler}", "executor": "tune", "callbacks": ["project:slow_journal"]}
    file = project.write_study(**(settings | SEARCHED[sampler]))
    command = project.start("run", str(file), "--workers", "1")

    def tune_files() -> list[Path]:
        return [path for path in (home / "tune").rglob("*") if path.is_file()]

    wait_until("Tune's state", lambda: any(path.name.startswith("experiment_state") for path in tune_files()))
    searched = set()
    while command.poll() is None:
        for process in psutil.process_iter(["cmdline"]):
            assert f"{PLANTED}-password" not in " ".join(process.info["cmdline"] or [])
        for path in [*tune_files(), *(path for path in temporary.rglob("*") if path.is_file())]:
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # Tune replaces its files
            assert not PARTS_OF_THE_URL.search(content), path
            assert not PARTS_OF_THE_URL.search(str(path).encode()), path
            searched.add(path.name)
        time.sleep(0.5)
    output, _ = command.communicate()
    assert command.returncode == 0, output
    assert not PARTS_OF_THE_URL.search(output.encode())
    assert "tuner.pkl" in searched
    assert any(name.startswith("experiment_state") for name in searched)
    assert "raylet.out" in searched
    for folder in (home / "logs", project.folder, temporary):
        for path in folder.rglob("*"):
            if path.is_file():
                assert not PARTS_OF_THE_URL.search(path.read_bytes()), path
    left = [path for path in Path("/tmp").glob("bandstand-*") if path.is_file()]
    assert left == [], "a file with the URL was left"
