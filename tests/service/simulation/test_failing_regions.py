"""Regions in which trials fail, and what learning from failures saves in them without losing the best region."""

from __future__ import annotations

import numpy as np
import pytest

from bandstand.errors import InputError
from bandstand.problem.budget import Budget
from bandstand.simulation import VirtualCluster, simulate
from bandstand.simulation.learning_curves.analytic import AnalyticSource
from bandstand.simulation.learning_curves.failing import FailingSource, regions_from
from bandstand.simulation.simulation_result import SimulationResult
from bandstand.study.study_spec import StudySpec

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True},
    "units": {"type": "int", "low": 8, "high": 8192, "log": True},
    "layers": {"type": "int", "low": 1, "high": 6},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
}


def run(regions: str, seed: int, *, avoids: bool, sampler: str = "random") -> SimulationResult:
    spec = StudySpec(
        name="failing", model="a:b", data="a:c", space=SPACE, sampler=sampler, pruner="none", max_epochs=3,
        budget=Budget(trials=150), seed=seed, avoid_failures=avoids,
    )  # fmt: skip
    curves = FailingSource(AnalyticSource(), regions_from(regions))
    return simulate(spec, curves.curves(spec.space, spec.objective, 3, seed), VirtualCluster(workers=4))


@pytest.mark.parametrize(
    ("regions", "reason"), [("memory:0.3", "out_of_memory"), ("nan:0.3", "diverged"), ("time:0.3", "too_slow")]
)
def test_the_share_that_was_asked_for_fails_in_its_way(regions: str, reason: str) -> None:
    result = run(regions, 1, avoids=False)
    failed = result.reasons[f"failed ({reason})"]
    assert failed == pytest.approx(45, abs=20)
    assert result.failed_epochs >= failed


def test_two_thirds_of_wasted_epochs_are_saved_and_the_best_is_found_all_the_same() -> None:
    wasted, without, differences, spread = 0, 0, [], []
    for regions in ("memory:0.3", "nan:0.3", "time:0.3"):
        for seed in range(2):
            mine, other = run(regions, seed, avoids=True), run(regions, seed, avoids=False)
            wasted, without = wasted + mine.failed_epochs, without + other.failed_epochs
            differences.append(mine.best_value - other.best_value)
            spread.append(other.best_value)
    assert wasted <= without / 3, (wasted, without)
    assert np.mean(differences) < 0.02, "a loss of about 0.3, and 0.01 of noise in each epoch"


@pytest.mark.parametrize("text", ["memory", "memory:1.5", "memory:x", "disk:0.3", "nan:0"])
def test_what_is_no_region_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(InputError, match=r"such as (memory|nan):0\.3"):
        regions_from(text)
