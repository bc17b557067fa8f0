"""Plans of comparisons in the database: kept, extended, never changed behind somebody's back."""

import dataclasses
import uuid

import pytest

from bandstand.errors import ComparisonNotFoundError, StudyNameTakenError
from bandstand.study.strategy_choices import strategies_from
from tests.service.comparison.conftest import plan_of


@pytest.fixture
def name():
    return f"cmp-{uuid.uuid4().hex[:8]}"


def test_a_plan_comes_back_as_it_was_kept(store, name):
    plan = plan_of(["tpe:startup_trials=3+asha", "pbt"], 3, name=name)
    assert store.plans.keep(plan) == plan
    assert store.plans.get(name) == plan
    assert store.plans.names()[0] == name


def test_keeping_more_arms_and_repeats_extends_it(store, name):
    store.plans.keep(plan_of(["tpe+asha"], 2, name=name))
    kept = store.plans.keep(plan_of(["qmc"], 1, name=name))
    assert [arm.label for arm in kept.arms] == ["tpe+asha", "random", "grid", "qmc"]
    assert kept.repeats == 2
    assert store.plans.get(name) == kept
    assert store.plans.keep(plan_of(["qmc"], 4, name=name)).repeats == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 8}, "seed: 8 here, 7 stored"),
        ({"max_epochs": 3}, "max_epochs: 3 here, 4 stored"),
        ({"sampler": "tpe", "sampler_options": {"startup_trials": 5}}, "options of tpe\\+asha: startup_trials=5 here"),
    ],
)
def test_another_comparison_of_the_same_name_is_refused_and_nothing_is_kept(store, name, changes, message):
    plan = store.plans.keep(plan_of(["tpe+asha"], 2, name=name))
    with pytest.raises(StudyNameTakenError, match=message):
        store.plans.keep(plan_of(["tpe+asha", "qmc"], 3, name=name, **changes))
    assert store.plans.get(name) == plan


def test_studies_taken_from_before_are_remembered(store, name):
    plan = dataclasses.replace(plan_of([], 2, name=name), taken={("random", 1): "yesterday"})
    store.plans.keep(plan)
    store.plans.keep(plan_of([], 3, name=name))
    assert store.plans.get(name).taken == {("random", 1): "yesterday"}


def test_a_name_that_is_not_there_is_answered_with_those_that_are(store, name):
    store.plans.keep(plan_of([], 1, name=name))
    with pytest.raises(ComparisonNotFoundError, match=f"there is no comparison 'none'.*the latest are '{name}'"):
        store.plans.get("none")


def test_studies_with_the_same_settings_are_found_whatever_their_names(store, name):
    (planned,) = (one for one in plan_of([], 1, name=name).studies() if one.arm == "random")
    for study, state in ((f"{name}-finished", "finished"), (f"{name}-stopped", "stopped")):
        writer = store.claim(planned.spec.model_copy(update={"name": study, "notes": "other words"}), "test")
        writer.set_study(state=state)
        writer.close()
    other = store.claim(planned.spec.model_copy(update={"name": f"{name}-seed", "seed": 99}), "test")
    other.set_study(state="finished")
    other.close()
    assert store.plans.finished_like([planned.spec])[planned.spec.name] == [f"{name}-finished"]


def test_studies_of_data_that_have_changed_since_are_not_found(store, name):
    plan = plan_of([], 1, name=name, data=f"{name.replace('-', '_')}:load")
    (planned,) = (one for one in plan.studies() if one.arm == "random")
    for study, fingerprint in (("old", "1111"), ("new", "2222")):
        writer = store.claim(planned.spec.model_copy(update={"name": f"{name}-{study}"}), "test")
        writer.set_study(state="finished", environment={"data": fingerprint})
        writer.close()
    assert store.plans.finished_like([planned.spec])[planned.spec.name] == [f"{name}-new"]


def test_a_pruner_alone_has_random_sampling():
    (arm,) = strategies_from(["hyperband:reduction_factor=4"])
    assert (arm.label, arm.sampler, arm.pruner) == ("hyperband:reduction_factor=4", "random", "hyperband")
    assert arm.pruner_options == {"reduction_factor": "4"}


def test_strategies_are_read_as_they_are_written():
    (arm,) = strategies_from(["tpe:startup_trials=3+asha:min_epochs=1"])
    assert (arm.sampler_options, arm.pruner_options) == ({"startup_trials": "3"}, {"min_epochs": "1"})
