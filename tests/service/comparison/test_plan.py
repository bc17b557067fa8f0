"""Which studies a comparison consists of."""

import dataclasses

import pytest

from bandstand.errors import InputError
from bandstand.strategies.points.grid_points import grid_of
from bandstand.study.strategy_choices import strategies_from


def test_random_and_grid_search_are_always_among_the_arms(make_plan_of):
    plan = make_plan_of(["tpe+asha,random+hyperband"], 2)
    assert [arm.label for arm in plan.arms] == ["tpe+asha", "random+hyperband", "random", "grid"]
    assert plan.baselines() == ("random", "grid")


def test_a_baseline_that_is_named_is_there_once(make_plan_of):
    plan = make_plan_of(["random,grid:points=2,tpe"], 1)
    assert [arm.label for arm in plan.arms] == ["random", "grid:points=2", "tpe"]
    assert plan.baselines() == ("random", "grid:points=2")


def test_without_strategies_it_is_the_studys_own_against_the_baselines(make_plan_of):
    assert [arm.label for arm in make_plan_of([], 1, sampler="tpe").arms] == ["tpe+asha", "random", "grid"]


def test_a_repeat_has_the_same_seed_budget_and_problem_in_every_arm(make_plan_of):
    plan = make_plan_of(["tpe+asha", "pbt"], 3)
    for repeat in range(3):
        specs = [each.spec for each in plan.studies() if each.repeat == repeat]
        assert len(specs) == 4
        assert {spec.seed for spec in specs} == {7 + repeat}
        assert {str(spec.budget) for spec in specs} == {"16 epochs"}
        assert {spec.space for spec in specs} == {plan.spec.space}


def test_every_study_has_a_name_of_its_own(make_plan_of):
    names = [each.spec.name for each in make_plan_of(["tpe+asha"], 3).studies()]
    assert len(set(names)) == 9
    assert "cmp/tpe+asha/1" in names


def test_repeats_run_whole_one_after_the_other_with_their_arms_in_changing_orders(make_plan_of):
    studies = make_plan_of(["tpe+asha,qmc,zoom"], 6).studies()
    blocks = [studies[start : start + 5] for start in range(0, 30, 5)]
    assert [{each.repeat for each in block} for block in blocks] == [{repeat} for repeat in range(6)]
    assert len({tuple(each.arm for each in block) for block in blocks}) > 3


def test_a_larger_comparison_keeps_the_studies_of_the_smaller(make_plan_of):
    small = make_plan_of(["tpe+asha"], 2)
    large = small.extended(strategies_from(["qmc,tpe+asha"]), 3)
    before = {each.spec.name: each.spec for each in small.studies()}
    after = {each.spec.name: each.spec for each in large.studies()}
    assert before.items() <= after.items()
    assert len(after) == 4 * 3
    assert small.extended([], 1) == small


def test_options_of_the_study_hold_for_arms_with_the_same_strategy(make_plan_of):
    plan = make_plan_of(
        ["tpe+asha", "tpe:startup_trials=3+asha"], 1, sampler="tpe", sampler_options={"startup_trials": 9}
    )
    specs = {each.arm: each.spec for each in plan.studies()}
    assert specs["tpe+asha"].sampler_options == {"startup_trials": 9}
    assert specs["tpe:startup_trials=3+asha"].sampler_options == {"startup_trials": "3"}
    assert specs["random"].sampler_options == {}


def test_the_grid_is_the_finest_that_the_budget_affords_unless_it_is_given(make_plan_of):
    grids = {
        each.arm: grid_of(each.spec).size
        for each in make_plan_of(["grid:points=3"], 1).studies() + make_plan_of([], 1).studies()
        if each.spec.sampler == "grid"
    }
    assert grids == {"grid:points=3": 9, "grid": 4}


def test_a_strategy_that_cannot_work_is_refused_before_anything_is_kept(make_plan_of):
    with pytest.raises(InputError, match="lr-restarts"):
        make_plan_of(["lr-restarts:schedule=sideways"], 1)


def test_names_that_get_too_long_are_refused_with_the_way_out(make_plan_of):
    with pytest.raises(InputError, match=r"give the comparison a shorter name \(--as; in Python name=\)"):
        make_plan_of([], 1, name="x" * 95)


def test_a_study_taken_from_before_stands_in_its_place(make_plan_of):
    plan = dataclasses.replace(make_plan_of([], 2), taken={("random", 1): "yesterday"})
    names = {(each.arm, each.repeat): each.spec.name for each in plan.studies()}
    assert names["random", 1] == "yesterday"
    assert names["random", 0] == "cmp/random/1"
