"""The storage for a sole writer: Optuna's own conformance suite, and row by row what RDBStorage writes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import optuna
import psycopg
import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState, create_trial

from bandstand.optuna_storage import SoleWriterStorage
from tests.service.optuna_storage.optuna_calls import MINIMIZE, in_order, play
from tests.service.optuna_storage.optuna_database import content, stranger, truncate


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local time that is not the stored one."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class TestOptunasOwnSuite(StorageTestCase):
    def test_pickle_storage(self, storage: BaseStorage) -> None:
        """Optuna wants a copy that reads the same database. It would carry the password and be a second writer."""
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(storage)


# -- what is written ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("batched", [False, True])
def test_every_row_is_what_optunas_own_storage_writes_for_the_same_calls(
    storage: SoleWriterStorage, database: str, batched: bool
) -> None:
    theirs = stranger(database)
    play(theirs)
    expected = content(database)
    assert min(len(rows) for table, rows in expected.items() if table != "trial_heartbeats") > 1
    truncate(database)
    with storage.batch() if batched else nullcontext():
        play(storage)
    assert content(database) == expected


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("batched", [False, True])
def test_memory_says_what_the_database_says_to_others_and_after_a_restart(
    storage: SoleWriterStorage, database: str, batched: bool
) -> None:
    with storage.batch() if batched else nullcontext():
        play(storage)
    for other in (stranger(database), SoleWriterStorage(database)):
        assert [vars(study) for study in storage.get_all_studies()] == [
            vars(study) for study in other.get_all_studies()
        ]
        for name in ("two objectives", "one objective"):
            study_id = storage.get_study_id_from_name(name)
            ours, theirs = storage.get_all_trials(study_id), other.get_all_trials(study_id)
            assert [in_order(trial) for trial in ours] == [in_order(trial) for trial in theirs]
            assert storage.get_study_directions(study_id) == other.get_study_directions(study_id)


def test_a_trial_that_was_handed_out_stays_as_it_was(storage: SoleWriterStorage) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    attr = ["mutable"]
    trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.RUNNING, user_attrs={"a": attr}))
    before = storage.get_trial(trial_id)
    text = repr(before)
    attr.append("changed by the caller")
    storage.set_trial_intermediate_value(trial_id, 1, 0.5)
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.1])
    assert repr(before) == text
    assert storage.get_trial(trial_id).user_attrs == {"a": ["mutable"]}


def test_optunas_samplers_and_pruners_work_on_it_from_several_threads(
    storage: SoleWriterStorage, database: str
) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        for step in range(4):
            trial.report(x * x + step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x * x

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(n_startup_trials=5, seed=1)
    study = optuna.create_study(storage=storage, sampler=sampler, pruner=optuna.pruners.MedianPruner(3, 1))
    study.optimize(objective, n_trials=30, n_jobs=3)
    seen = optuna.load_study(study_name=study.study_name, storage=stranger(database))
    assert [in_order(trial) for trial in seen.trials] == [in_order(trial) for trial in study.trials]
    assert sorted(trial.number for trial in seen.trials) == list(range(30))
    assert seen.best_value == study.best_value
    assert {trial.state for trial in seen.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}


# -- who reads it -------------------------------------------------------------------------------------------------


def test_plain_optuna_in_another_process_sees_it(storage: SoleWriterStorage, database: str) -> None:
    play(storage)
    script = """
        import sys, optuna
        study = optuna.load_study(study_name="two objectives", storage=sys.argv[1])
        first = study.trials[0]
        print(len(study.trials), first.state.name, first.params, first.values, study.directions[0].name)
    """
    url = database.replace("postgresql:", "postgresql+psycopg:")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), url], capture_output=True, text=True)
    assert done.stdout.strip() == "6 COMPLETE {'units': 8, 'mixed': 'ä', 'rate': 0.1} [inf, -inf] MAXIMIZE", done.stderr


def ask_dashboard(database: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request to Optuna Dashboard, without a server."""
    import io

    import optuna_dashboard

    content = json.dumps(body or {}).encode()
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "test", "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(content), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content)),
    }  # fmt: skip
    application = optuna_dashboard.wsgi(stranger(database))
    answer = b"".join(application(environ, lambda line, headers, *_: status.append(line)))
    assert status[0].startswith("20"), (status, answer)
    return json.loads(answer) if answer else None


def test_optuna_dashboard_shows_it_and_its_notes_are_kept(storage: SoleWriterStorage, database: str) -> None:
    study_id = storage.create_new_study(MINIMIZE, "shown")
    storage.set_study_system_attr(study_id, "ours", 1)
    trial_id = storage.create_new_trial(study_id)
    storage.set_trial_intermediate_value(trial_id, 1, 0.5)
    for path in (f"/api/studies/{study_id}/note", f"/api/studies/{study_id}/{trial_id}/note"):
        ask_dashboard(database, "PUT", path, {"body": f"a note on {path}", "version": 1})
    storage.set_study_system_attr(study_id, "ours", 2)
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.25])
    detail = ask_dashboard(database, "GET", f"/api/studies/{study_id}")
    assert detail["note"]["body"].startswith("a note on")
    assert [(trial["state"], trial["values"]) for trial in detail["trials"]] == [("Complete", [0.25])]
    assert "a note on" in json.dumps(detail["trials"][0]["note"])
    assert storage.get_study_system_attrs(study_id) == {"ours": 2}
    storage.refresh(study_id)
    assert any("a note on" in str(value) for value in storage.get_study_system_attrs(study_id).values())


def test_a_reader_with_a_cache_sees_every_trial_whoever_added_which(storage: SoleWriterStorage, database: str) -> None:
    study_id = storage.create_new_study(MINIMIZE, "cached")
    reader = optuna.load_study(study_name="cached", storage=database.replace("postgresql:", "postgresql+psycopg:"))
    theirs = stranger(database)
    for _ in range(3):
        for adder in (storage, theirs):
            trial_id = adder.create_new_trial(study_id)
            adder.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.0])
            assert [trial.number for trial in reader.trials] == list(range(len(theirs.get_all_trials(study_id))))
    assert len(reader.trials) == 6


# -- loading ------------------------------------------------------------------------------------------------------


def test_a_study_is_loaded_in_the_same_number_of_statements_however_many_its_trials(
    storage: SoleWriterStorage, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute_, statements = psycopg.Connection.execute, []

    def count(connection: Any, *arguments: Any, **options: Any) -> Any:
        statements.append(arguments)
        return execute_(connection, *arguments, **options)

    study_id = storage.create_new_study(MINIMIZE)
    monkeypatch.setattr(psycopg.Connection, "execute", count)
    counts = []
    for trials in (1, 300):
        with storage.batch():
            for _ in range(trials):
                storage.create_new_trial(study_id, create_trial(value=1.0, intermediate_values={1: 1.0}))
        statements.clear()
        storage.refresh(study_id)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 12
    statements.clear()
    assert storage.get_n_trials(study_id, TrialState.COMPLETE) == len(storage.get_all_trials(study_id)) == 301
    assert statements == [], "a read went to the database"


def test_times_are_those_of_the_calls(storage: SoleWriterStorage, database: str) -> None:
    began = datetime.now()
    trial_id = storage.create_new_trial(storage.create_new_study(MINIMIZE))
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    trial = stranger(database).get_trial(trial_id)
    assert trial.datetime_start is not None and trial.datetime_complete is not None
    assert began <= trial.datetime_start <= trial.datetime_complete <= datetime.now() + timedelta(seconds=1)
