"""A population in Tune's words and back: what Tune may change, and that every member stays in the space."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2
from ray.tune.schedulers.pbt import _explore

from bandstand.study.study_spec import StudySpec
from bandstand_workers.tune.population import MEMBER, PopulationConfig

PARAMS = {"rate": 1e-3, "dropout": 0.25, "units": 5, "batch": 32, "kind": "relu"}


def make_spec(sampler: str, **options: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "population",
            "model": "a:build",
            "data": "a:load",
            "sampler": sampler,
            "sampler_options": {"population": 4, "interval": 3, **options},
            "executor": "tune",
            "max_epochs": 12,
            "batch_size": "batch",
            "budget": {"trials": 4},
            "objective": {"metric": "val_accuracy", "direction": "maximize"},
            "space": {
                "rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
                "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
                "units": {"type": "int", "low": 4, "high": 40, "step": 1},
                "batch": {"type": "categorical", "choices": [16, 32, 64]},
                "kind": {"type": "categorical", "choices": ["relu", "tanh"]},
            },
        }
    )


@pytest.mark.parametrize("sampler", ["tune-pbt", "tune-pb2"])
def test_a_member_s_config_means_its_params(sampler: str) -> None:
    config = PopulationConfig(make_spec(sampler))
    start = config.member(7, PARAMS)
    assert start["trial"] == 7
    assert config.params({MEMBER: start}) == pytest.approx(PARAMS)


def test_whatever_tune_s_explore_does_the_params_stay_in_the_space() -> None:
    spec = make_spec("tune-pbt", explore=["rate", "dropout", "units", "batch", "kind"])
    config = PopulationConfig(spec)
    scheduler = config.make_scheduler()
    assert isinstance(scheduler, PopulationBasedTraining)
    member, seen = {MEMBER: config.member(0, PARAMS)}, set()
    for _ in range(200):
        member, _ = _explore(member, scheduler._hyperparam_mutations, 0.25, (0.8, 1.2), None)
        params = config.params(member)
        spec.space.check(params)
        seen.add(params["batch"])
        member = {MEMBER: config.member(0, params)}
    assert seen == {16, 32, 64}


def test_pb2_is_given_bounds_and_logarithms_where_the_space_has_a_log_scale() -> None:
    spec = make_spec("tune-pb2", explore=["rate", "units"])
    config = PopulationConfig(spec)
    scheduler = config.make_scheduler()
    assert isinstance(scheduler, PB2)
    assert scheduler._hyperparam_bounds[MEMBER]["params"] == {"rate": pytest.approx([-4, -1]), "units": [4.0, 40.0]}
    start = config.member(0, PARAMS)
    assert start["params"] == {**PARAMS, "rate": pytest.approx(math.log10(1e-3)), "units": 5.0}
    start["params"] |= {"rate": -0.5, "units": 17.6}
    params = config.params({MEMBER: start})
    assert params == {**PARAMS, "rate": pytest.approx(0.1), "units": 18}
    spec.space.check(params)


def test_the_scheduler_has_the_study_s_options_and_draws_alike_from_the_same_seed() -> None:
    spec = make_spec("tune-pbt", fraction=0.5, resample=0.0, factors=(0.5, 2.0), synchronous=True)
    draws = []
    for _ in range(2):
        scheduler = PopulationConfig(spec).make_scheduler()
        member = {MEMBER: {"trial": 0, "params": dict(PARAMS)}}
        draws.append(_explore(member, scheduler._hyperparam_mutations, 0.5, (0.5, 2.0), None)[0])
    assert draws[0] == draws[1]
    assert (scheduler._quantile_fraction, scheduler._perturbation_interval, scheduler._synch) == (0.5, 3, True)
    assert (scheduler._metric, scheduler._mode, scheduler._time_attr) == ("objective", "max", "epoch")
