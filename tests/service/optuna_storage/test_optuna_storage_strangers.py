"""What strangers do to a study of the sole writer: nothing of theirs is lost, and nothing of ours silently."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial

from bandstand.errors import DatabaseUnreachableError, ForeignWriteError, StudyDeletedError
from bandstand.optuna_storage import SoleWriterStorage
from tests.service.optuna_storage.optuna_calls import MINIMIZE
from tests.service.optuna_storage.optuna_database import content, end_other_connections, execute, stranger

DONE = create_trial(value=1.0, user_attrs={"from": "a stranger"})
CALLS: dict[str, Callable[[SoleWriterStorage, int, int], object]] = {
    "a new trial": lambda storage, study_id, _: storage.create_new_trial(study_id),
    "an attribute of the study": lambda storage, study_id, _: storage.set_study_user_attr(study_id, "a", 2),
    "a param": lambda storage, _, trial_id: storage.set_trial_param(
        trial_id, "x", 0.5, optuna.distributions.FloatDistribution(0, 1)
    ),
    "an intermediate value": lambda storage, _, trial_id: storage.set_trial_intermediate_value(trial_id, 1, 0.5),
    "an attribute": lambda storage, _, trial_id: storage.set_trial_user_attr(trial_id, "a", 2),
    "a state": lambda storage, _, trial_id: storage.set_trial_state_values(trial_id, TrialState.WAITING),
    "an end": lambda storage, _, trial_id: storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0]),
}


@pytest.fixture
def study_id(storage: SoleWriterStorage) -> int:
    study_id = storage.create_new_study(MINIMIZE, "ours")
    storage.set_study_user_attr(study_id, "a", 1)
    return study_id


def test_a_strangers_trial_is_counted_and_left_alone(storage: SoleWriterStorage, database: str, study_id: int) -> None:
    theirs = stranger(database)
    first = storage.create_new_trial(study_id)
    added = theirs.create_new_trial(study_id, DONE)
    with storage.batch():
        ours = [storage.create_new_trial(study_id) for _ in range(3)]
    assert first < added < ours[0]
    trials = theirs.get_all_trials(study_id)
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4]
    assert trials[1].user_attrs == {"from": "a stranger"}
    assert [trial.number for trial in storage.get_all_trials(study_id)] == [0, 1, 2, 3, 4]
    assert storage.get_trial(added) == trials[1]


def test_a_strangers_trial_is_found_by_its_id_before_anything_is_added(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    added = stranger(database).create_new_trial(study_id, DONE)
    assert storage.get_n_trials(study_id) == 0
    assert storage.get_trial(added).value == 1.0
    assert storage.get_n_trials(study_id) == 1
    assert SoleWriterStorage(database).get_trial_number_from_id(added) == 0


def test_a_stranger_who_adds_a_trial_during_a_batch_waits_for_its_end(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    adding = threading.Thread(target=stranger(database).create_new_trial, args=(study_id, DONE))
    with storage.batch():
        storage.create_new_trial(study_id)
        adding.start()
        time.sleep(0.2)
        storage.create_new_trial(study_id)
    adding.join()
    trials = stranger(database).get_all_trials(study_id)
    assert [(trial.number, trial.user_attrs) for trial in trials] == [(0, {}), (1, {}), (2, {"from": "a stranger"})]


def test_a_stranger_who_uses_a_broken_connection_to_add_a_trial_stops_the_batch(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    with pytest.raises(ForeignWriteError, match="a trial was added"), storage.batch():
        storage.create_new_trial(study_id)
        end_other_connections(database)
        stranger(database).create_new_trial(study_id, DONE)
    assert storage.create_new_trial(study_id)
    assert [trial.number for trial in stranger(database).get_all_trials(study_id)] == [0, 1]


def test_a_connection_that_was_lost_and_remade_in_a_batch_is_not_trusted_with_its_locks(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    with pytest.raises(ForeignWriteError, match="a trial was added"), storage.batch():
        storage.create_new_trial(study_id)
        end_other_connections(database)
        with pytest.raises(DatabaseUnreachableError, match="broke during a transaction"):
            storage.get_study_id_from_name("ours")
        assert storage.get_study_id_from_name("ours") == study_id
        stranger(database).create_new_trial(study_id, DONE)


def test_numbers_stay_unique_when_a_stranger_deletes_rows(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    ids = [storage.create_new_trial(study_id) for _ in range(3)]
    execute(database, "DELETE FROM trials WHERE trial_id = %s", [ids[0]])
    storage.refresh(study_id)
    assert storage.get_trial_number_from_id(storage.create_new_trial(study_id)) == 3
    assert storage.get_trial_id_from_study_id_trial_number(study_id, 2) == ids[2]


@pytest.mark.parametrize("kind", ["user", "system"])
@pytest.mark.parametrize("key", ["a", "new"])
@pytest.mark.parametrize("batched", [False, True])
def test_an_attribute_that_a_stranger_has_set_is_not_overwritten_unseen(
    storage: SoleWriterStorage, database: str, study_id: int, kind: str, key: str, batched: bool
) -> None:
    theirs = stranger(database)
    setter, getter = f"set_study_{kind}_attr", f"get_study_{kind}_attrs"
    storage.set_study_system_attr(study_id, "a", 1)
    getattr(theirs, setter)(study_id, key, "theirs")
    changed = pytest.raises(ForeignWriteError, match=f"the study's attribute '{key}' was changed")
    with changed, storage.batch() if batched else nullcontext():
        getattr(storage, setter)(study_id, key, "ours")
    assert getattr(storage, getter)(study_id)[key] == getattr(theirs, getter)(study_id)[key] == "theirs"
    getattr(storage, setter)(study_id, key, "ours, knowing theirs")
    assert getattr(theirs, getter)(study_id) == {"a": 1} | {key: "ours, knowing theirs"}


@pytest.mark.parametrize("call", [name for name in CALLS if name not in ("a new trial", "an attribute of the study")])
@pytest.mark.parametrize("batched", [False, True])
def test_a_trial_that_a_stranger_finished_stays_as_it_is(
    storage: SoleWriterStorage, database: str, study_id: int, call: str, batched: bool
) -> None:
    trial_id = storage.create_new_trial(study_id)
    stranger(database).set_trial_state_values(trial_id, TrialState.COMPLETE, [7.0])
    before = content(database)
    finished = pytest.raises(ForeignWriteError, match="a trial of it was finished or deleted")
    with finished, storage.batch() if batched else nullcontext():
        CALLS[call](storage, study_id, trial_id)
    assert content(database) == before
    with pytest.raises(UpdateFinishedTrialError):
        CALLS[call](storage, study_id, trial_id)
    assert storage.get_trial(trial_id).value == 7.0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("batched", [False, True])
def test_writing_to_a_study_that_a_stranger_deleted_is_an_error(
    storage: SoleWriterStorage, database: str, study_id: int, call: str, batched: bool
) -> None:
    trial_id = storage.create_new_trial(study_id)
    optuna.delete_study(study_name="ours", storage=stranger(database))
    with pytest.raises(StudyDeletedError, match="'ours' was deleted"), storage.batch() if batched else nullcontext():
        CALLS[call](storage, study_id, trial_id)
    assert not any(content(database).values())
    with pytest.raises(KeyError):
        CALLS[call](storage, study_id, trial_id)


def test_a_study_deleted_in_the_middle_of_a_batch_is_an_error_too(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    trial_id = storage.create_new_trial(study_id)
    with pytest.raises(StudyDeletedError), storage.batch():
        storage.set_trial_intermediate_value(trial_id, 1, 0.5)
        optuna.delete_study(study_name="ours", storage=stranger(database))
    assert storage.get_all_studies() == []


def test_a_study_that_a_stranger_made_under_the_same_name_is_another_one(
    storage: SoleWriterStorage, database: str, study_id: int
) -> None:
    theirs = stranger(database)
    optuna.delete_study(study_name="ours", storage=theirs)
    other = theirs.create_new_study(MINIMIZE, "ours")
    with pytest.raises(StudyDeletedError):
        storage.create_new_trial(study_id)
    assert storage.get_study_id_from_name("ours") == other
    with pytest.raises(optuna.exceptions.DuplicatedStudyError), storage.batch():
        storage.create_new_study(MINIMIZE, "theirs")
        theirs.create_new_study(MINIMIZE, "theirs")
    assert storage.create_new_trial(other)
