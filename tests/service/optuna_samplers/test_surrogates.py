"""Models that were made quicker say what scikit-optimize's own say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skopt.learning import ExtraTreesRegressor, RandomForestRegressor

from service.optuna_samplers import surrogates


@pytest.mark.parametrize(
    ("quick", "own"),
    [(surrogates._RandomForest, RandomForestRegressor), (surrogates._ExtraTrees, ExtraTreesRegressor)],
    ids=["forest", "extra_trees"],
)
@pytest.mark.parametrize("min_variance", [0.0, 0.05])
def test_a_forest_predicts_mean_and_deviation_by_one_walk_through_each_tree(
    quick: Any, own: Any, min_variance: float
) -> None:
    rng = np.random.default_rng(3)
    units, values, points = rng.random((80, 5)), rng.normal(size=80), rng.random((300, 5))
    settings = {"n_estimators": 30, "min_samples_leaf": 3, "random_state": 1, "min_variance": min_variance}
    mine, theirs = (model(**settings).fit(units, values) for model in (quick, own))
    for ours, other in zip(mine.predict(points, return_std=True), theirs.predict(points, return_std=True), strict=True):
        assert ours == pytest.approx(other, abs=1e-6)
    assert mine.predict(points) == pytest.approx(theirs.predict(points), abs=1e-6)
