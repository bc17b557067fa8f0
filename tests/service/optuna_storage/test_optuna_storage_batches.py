"""Batches of the sole writer's storage: whole or not at all, whatever breaks."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.trial import TrialState

from bandstand.errors import DatabaseUnreachableError
from bandstand.optuna_storage import SoleWriterStorage
from tests.service.optuna_storage.optuna_calls import MINIMIZE, play
from tests.service.optuna_storage.optuna_database import content, end_other_connections, execute, stranger, truncate

# -- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_is_seen_by_others_wholly_or_not_at_all(storage: SoleWriterStorage, database: str) -> None:
    with storage.batch():
        study_id = storage.create_new_study(MINIMIZE, "whole")
        assert storage.get_study_id_from_name("whole") == study_id
        assert [study.study_name for study in storage.get_all_studies()] == ["whole"]
        ids = [storage.create_new_trial(study_id) for _ in range(250)]
        storage.set_trial_intermediate_value(ids[0], 1, 0.5)
        assert storage.get_trial(ids[0]).intermediate_values == {1: 0.5}
        assert execute(database, "SELECT count(*) FROM studies") == [(0,)]
    assert ids == sorted(ids)
    assert [trial.number for trial in stranger(database).get_all_trials(study_id)] == list(range(250))


def test_a_batch_whose_block_raises_leaves_nothing(storage: SoleWriterStorage, database: str) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    running = storage.create_new_trial(study_id)
    before = content(database)
    with pytest.raises(ZeroDivisionError), storage.batch():
        new = storage.create_new_trial(study_id)
        storage.set_study_user_attr(study_id, "a", 1)
        storage.set_trial_state_values(running, TrialState.COMPLETE, [1 / len([running, new]) / 0])
    assert content(database) == before
    with pytest.raises(KeyError):
        storage.get_trial(new)
    assert storage.get_study_user_attrs(study_id) == {}
    assert storage.get_trial(running).state is TrialState.RUNNING
    assert storage.get_trial_number_from_id(storage.create_new_trial(study_id)) == 1


@pytest.mark.parametrize("batched", [False, True])
def test_a_value_that_the_database_refuses_leaves_nothing(
    storage: SoleWriterStorage, database: str, batched: bool
) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    trial_id = storage.create_new_trial(study_id)
    before = content(database)
    with pytest.raises(StorageInternalError), storage.batch() if batched else nullcontext():
        if batched:
            storage.set_trial_intermediate_value(trial_id, 1, 0.5)
        storage.set_trial_user_attr(trial_id, "k" * 513, "too long a key")
    with pytest.raises(StorageInternalError), storage.batch() if batched else nullcontext():
        storage.set_trial_user_attr(trial_id, "NUL \x00", "")
    assert content(database) == before
    assert storage.get_trial(trial_id).user_attrs == {}
    assert storage.get_trial(trial_id).intermediate_values == {}


def test_a_refused_call_in_a_batch_may_be_caught_and_the_rest_counts(storage: SoleWriterStorage, database: str) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    with storage.batch():
        trial_id = storage.create_new_trial(study_id)
        storage.set_trial_param(trial_id, "x", 0.5, FloatDistribution(0, 1))
        with pytest.raises(ValueError):
            storage.set_trial_param(storage.create_new_trial(study_id), "x", 1, CategoricalDistribution([1, 2]))
        with pytest.raises(TypeError):
            storage.set_trial_user_attr(trial_id, "a", object())
        with pytest.raises(DuplicatedStudyError):
            storage.create_new_study(MINIMIZE, storage.get_study_name_from_id(study_id))
    assert [trial.params for trial in stranger(database).get_all_trials(study_id)] == [{"x": 0.5}, {}]


def test_what_a_batch_cannot_contain_is_said(storage: SoleWriterStorage) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    for forbidden in (
        lambda: storage.refresh(study_id),
        lambda: storage.delete_study(study_id),
        lambda: storage.batch().__enter__(),
    ):
        with pytest.raises(RuntimeError, match="must not"), storage.batch():
            forbidden()


def test_other_threads_wait_for_a_batch_and_are_not_part_of_it(storage: SoleWriterStorage, database: str) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    threads = [threading.Thread(target=storage.create_new_trial, args=(study_id,)) for _ in range(4)]
    with pytest.raises(ZeroDivisionError), storage.batch():
        storage.create_new_trial(study_id)
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        assert storage.get_n_trials(study_id) == 1
        raise ZeroDivisionError
    for thread in threads:
        thread.join()
    assert [trial.number for trial in stranger(database).get_all_trials(study_id)] == [0, 1, 2, 3]


def test_a_process_killed_in_the_middle_leaves_whole_batches_only(storage: SoleWriterStorage, database: str) -> None:
    script = """
        import itertools, sys
        from optuna.study import StudyDirection
        from optuna.trial import TrialState
        from bandstand.optuna_storage import SoleWriterStorage
        storage = SoleWriterStorage(sys.argv[1])
        study_id = storage.create_new_study([StudyDirection.MINIMIZE], sys.argv[2])
        for batch in itertools.count():
            with storage.batch():
                for _ in range(7):
                    trial_id = storage.create_new_trial(study_id)
                    for step in range(5):
                        storage.set_trial_intermediate_value(trial_id, step, batch)
                    storage.set_trial_user_attr(trial_id, "batch", batch)
                    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [batch])
                storage.set_study_user_attr(study_id, "batches", batch + 1)
            print(batch + 1, flush=True)
    """
    for attempt in range(3):
        name = f"killed {attempt}"
        command = [sys.executable, "-c", textwrap.dedent(script), database, name]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(5)]
        time.sleep(0.0137 * (attempt + 1))
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.communicate()[0].split()]
        study_id = storage.get_study_id_from_name(name)
        batches = storage.get_study_user_attrs(study_id)["batches"]
        assert told[-1] <= batches <= told[-1] + 1
        trials = storage.get_all_trials(study_id)
        assert [trial.user_attrs["batch"] for trial in trials] == [n for n in range(batches) for _ in range(7)]
        assert all(len(trial.intermediate_values) == 5 and trial.state is TrialState.COMPLETE for trial in trials)


# -- the connection -----------------------------------------------------------------------------------------------


def test_a_connection_broken_between_calls_is_made_again(storage: SoleWriterStorage, database: str) -> None:
    study_id = storage.create_new_study(MINIMIZE)
    end_other_connections(database)
    trial_id = storage.create_new_trial(study_id)
    end_other_connections(database)
    storage.set_trial_intermediate_value(trial_id, 1, 0.5)
    end_other_connections(database)
    storage.refresh(study_id)
    assert stranger(database).get_trial(trial_id).intermediate_values == {1: 0.5}


def test_a_connection_broken_inside_a_batch_costs_nothing(storage: SoleWriterStorage, database: str) -> None:
    with storage.batch():
        play(storage)
        end_other_connections(database)
    expected = content(database)
    truncate(database)
    play(stranger(database))
    assert content(database) == expected


@pytest.mark.parametrize("batched", [False, True])
def test_a_commit_of_which_nothing_was_heard_is_not_done_twice(
    storage: SoleWriterStorage, database: str, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, commits = psycopg.Connection.commit, itertools.count()

    def commit_and_break(connection: psycopg.Connection[Any]) -> None:
        commit(connection)
        if next(commits) % 2 == 0:
            connection.close()
            raise psycopg.OperationalError("the connection broke")

    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_break)
    with storage.batch() if batched else nullcontext():
        play(storage)
    monkeypatch.undo()
    assert next(commits) > 1
    expected = content(database)
    truncate(database)
    play(stranger(database))
    assert content(database) == expected


def test_a_database_that_is_away_is_said_without_its_password() -> None:
    for url in ("postgresql://u:pl4nted@127.0.0.1:1/x", "postgresql://u:pl4nted@/x?host=/nowhere&nonsense=1"):
        storage = SoleWriterStorage(url)
        for call, argument in ((storage.create_new_study, MINIMIZE), (SoleWriterStorage.open, url)):
            with pytest.raises(DatabaseUnreachableError, match="must answer") as caught:
                call(argument)
            assert "pl4nted" not in repr(caught.value) + str(caught.value)
            assert caught.value.__suppress_context__
        assert "pl4nted" not in repr(storage) + repr(vars(storage))
