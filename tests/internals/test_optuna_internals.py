"""Canaries for Optuna's private parts: each fails on the day on which Optuna changes what one of ours stands on."""

from __future__ import annotations

import itertools

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from bandstand.optuna_storage import internals
from bandstand.store.optuna_mirror import open_storage

NAMES = (f"canary-{number}" for number in itertools.count())


@pytest.fixture(params=["of Optuna's", "of ours"])
def storage(request: pytest.FixtureRequest) -> BaseStorage:
    return (
        InMemoryStorage()
        if request.param == "of Optuna's"
        else open_storage(request.getfixturevalue("store").database.url)
    )


def test_a_study_and_a_trial_tell_the_ids_by_which_storages_know_them(storage: BaseStorage) -> None:
    name = next(NAMES)
    study = optuna.create_study(storage=storage, study_name=name)
    number = storage.get_study_id_from_name(name)
    listed = [internals.study_id_of(study) for study in storage.get_all_studies() if study.study_name == name]
    assert listed == [number]
    trial = storage.create_new_trial(number)
    assert internals.trial_id_of(storage.get_trial(trial)) == trial
    assert [internals.trial_id_of(one) for one in study.get_trials()] == [trial]
    renumbered = storage.get_trial(trial)
    setattr(renumbered, internals.ID_ATTRIBUTE, trial + 1)
    assert internals.trial_id_of(renumbered) == trial + 1


def test_a_study_without_a_name_gets_one_that_begins_as_optunas_own(storage: BaseStorage) -> None:
    name = optuna.create_study(storage=storage).study_name
    assert name.startswith(internals.DEFAULT_STUDY_NAME_PREFIX)
    assert len(name) > len(internals.DEFAULT_STUDY_NAME_PREFIX)


def test_a_frozen_study_takes_and_tells_what_a_storage_gives_it() -> None:
    direction = optuna.study.StudyDirection.MAXIMIZE
    frozen = internals.FrozenStudy(
        study_name="one", direction=None, directions=[direction], user_attrs={"a": 1}, system_attrs={"b": 2}, study_id=7
    )
    assert (frozen.study_name, frozen.directions, frozen.direction) == ("one", [direction], direction)
    assert (frozen.user_attrs, frozen.system_attrs, internals.study_id_of(frozen)) == ({"a": 1}, {"b": 2}, 7)
