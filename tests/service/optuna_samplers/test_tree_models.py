"""Models of trees that are grown quicker say what scikit-optimize's and scikit-learn's own say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor
from skopt.learning import ExtraTreesRegressor, RandomForestRegressor

from bandstand.optuna_samplers.tree_models import ExtraTrees, QuantileBoosting, RandomForest, tree_model

FORESTS = [(RandomForest, RandomForestRegressor), (ExtraTrees, ExtraTreesRegressor)]


def _data(rows: int = 80, columns: int = 5) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    units = rng.random((rows, columns))
    return units, np.sin(units.sum(axis=1)) + 0.1 * rng.normal(size=rows), rng.random((300, columns))


@pytest.mark.parametrize(("quick", "own"), FORESTS, ids=["forest", "extra_trees"])
@pytest.mark.parametrize("min_variance", [0.0, 0.05])
def test_a_forest_predicts_mean_and_deviation_by_one_walk_through_each_tree(
    quick: Any, own: Any, min_variance: float
) -> None:
    units, values, points = _data()
    settings = {"n_estimators": 30, "min_samples_leaf": 3, "random_state": 1, "min_variance": min_variance}
    grown = own(**settings).fit(units, values)
    mine = quick(**settings)
    mine.estimators_ = grown.estimators_
    for ours, other in zip(mine.predict(points, return_std=True), grown.predict(points, return_std=True), strict=True):
        assert ours == pytest.approx(other, abs=1e-6)
    assert mine.predict(points) == pytest.approx(grown.predict(points), abs=1e-6)


@pytest.mark.parametrize(
    ("quick", "tree", "columns"),
    [
        (RandomForest, DecisionTreeRegressor, 5),
        (ExtraTrees, ExtraTreeRegressor, 5),
        (RandomForest, DecisionTreeRegressor, 1),
    ],
    ids=["forest", "extra_trees", "one column"],
)
def test_the_trees_of_a_forest_are_scikit_learns(quick: Any, tree: Any, columns: int) -> None:
    units, values, points = _data(columns=columns)
    mine = quick(n_estimators=4, min_samples_leaf=3, random_state=7).fit(units, values)
    rng = np.random.RandomState(7)
    assert len(mine.estimators_) == 4
    for grown in mine.estimators_:
        weights = None
        if quick is RandomForest:
            weights = np.bincount(rng.randint(80, size=80), minlength=80)
        theirs = tree(min_samples_leaf=3, max_features=1.0, random_state=rng).fit(units, values, weights)
        assert grown.predict(points) == pytest.approx(theirs.predict(points), abs=1e-12)


@pytest.mark.parametrize(("quick", "own"), FORESTS, ids=["forest", "extra_trees"])
def test_a_forest_errs_as_scikit_optimizes_does(quick: Any, own: Any) -> None:
    units, values, points = _data(rows=120)
    truth = np.sin(points.sum(axis=1))

    def error(model: Any, seed: int) -> float:
        fitted = model(n_estimators=50, min_samples_leaf=3, random_state=seed).fit(units, values)
        return float(np.mean((fitted.predict(points) - truth) ** 2))

    errors = {model: np.mean([error(model, seed) for seed in range(10)]) for model in (quick, own)}
    assert errors[quick] == pytest.approx(errors[own], rel=0.1)


@pytest.mark.parametrize("rows", [4, 11, 25, 100, 133])
def test_quantiles_are_boosted_as_scikit_learn_boosts_them(rows: int) -> None:
    units, values, points = _data(rows=rows)
    model = tree_model("gbrt", 30, 5, per_second=False).fit(units, values)
    low, median, high = (
        GradientBoostingRegressor(n_estimators=30, loss="quantile", alpha=alpha, random_state=np.random.RandomState(5))
        .fit(units, values)
        .predict(points)
        for alpha in (0.16, 0.5, 0.84)
    )
    mean, deviation = model.predict(points, return_std=True)
    assert mean == pytest.approx(median, abs=1e-9)
    assert deviation == pytest.approx((high - low) / 2, abs=1e-9)
    assert model.predict(points) == pytest.approx(median, abs=1e-9)


def test_a_quantile_model_of_tied_values_is_sure_of_them() -> None:
    units, _, points = _data()
    model = QuantileBoosting(base_estimator=GradientBoostingRegressor(n_estimators=3, loss="quantile"), random_state=1)
    mean, deviation = model.fit(units, np.full(80, 2.5)).predict(points, return_std=True)
    assert mean == pytest.approx(np.full(300, 2.5))
    assert deviation == pytest.approx(np.zeros(300))
