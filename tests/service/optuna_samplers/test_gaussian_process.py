"""The quicker Gaussian process says what scikit-learn's own says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from skopt.utils import cook_estimator

from bandstand.optuna_samplers.gaussian_process import GaussianProcess, gaussian_process


def _data(rows: int, columns: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    units = rng.random((rows, columns))
    return units, np.sin(3 * units.sum(axis=1)) + 0.1 * rng.normal(size=rows)


@pytest.mark.parametrize("columns", [1, 2, 7])
@pytest.mark.parametrize("rows", [3, 50])
def test_the_likelihood_and_its_gradient_are_scikit_learns(rows: int, columns: int) -> None:
    units, values = _data(rows, columns)
    mine = gaussian_process(columns, 0, 1).fit(units, values)
    theirs = GaussianProcessRegressor(mine.kernel, normalize_y=True, optimizer=None).fit(units, values)
    bounds = theirs.kernel_.bounds
    rng = np.random.default_rng(1)
    for _ in range(20):
        theta = rng.uniform(bounds[:, 0], bounds[:, 1])
        likelihood, gradient = theirs.log_marginal_likelihood(theta, eval_gradient=True)
        ours, slope = mine.log_marginal_likelihood(theta, eval_gradient=True)
        assert ours == pytest.approx(likelihood, rel=1e-7, abs=1e-7)
        assert slope == pytest.approx(gradient, rel=1e-5, abs=1e-5)
        assert mine.log_marginal_likelihood(theta) == pytest.approx(likelihood, rel=1e-7, abs=1e-7)


def test_it_finds_the_hyperparameters_that_scikit_optimizes_own_finds_and_predicts_the_same() -> None:
    units, values = _data(40, 3)
    points = np.random.default_rng(5).random((100, 3))
    mine = gaussian_process(3, 2, 1).fit(units, values)
    theirs = cook_estimator("GP", space=[(0.0, 1.0)] * 3, n_restarts_optimizer=2, random_state=1).fit(units, values)
    assert mine.log_marginal_likelihood() == pytest.approx(theirs.log_marginal_likelihood(), rel=1e-4)
    for ours, other in zip(mine.predict(points, return_std=True), theirs.predict(points, return_std=True), strict=True):
        assert ours == pytest.approx(other, abs=2e-3)


def test_with_many_observations_it_looks_at_some_of_them_and_predicts_from_all() -> None:
    units, values = _data(120, 2)
    mine = gaussian_process(2, 0, 1).fit(units, values)
    rows = np.unique(np.linspace(0, 119, 50).round().astype(int))
    few = GaussianProcessRegressor(mine.kernel, normalize_y=False, optimizer=None).fit(units[rows], mine.y_train_[rows])
    theta = few.kernel_.theta
    assert mine.log_marginal_likelihood(theta) == pytest.approx(few.log_marginal_likelihood(theta), rel=1e-7)
    assert len(mine.X_train_) == 120
    assert np.mean((mine.predict(units) - values) ** 2) < 0.05


@pytest.mark.parametrize("columns", [1, 4])
def test_it_predicts_as_scikit_optimizes_own_does_from_the_same_hyperparameters(columns: int) -> None:
    units, values = _data(60, columns)
    mine = gaussian_process(columns, 0, 1).fit(units, values)
    own = super(GaussianProcess, mine).predict
    points = np.random.default_rng(5).random((40, columns))
    points[0] = units[7]
    for ours, other in zip(mine.predict(points, return_std=True), own(points, return_std=True), strict=True):
        assert ours == pytest.approx(other, abs=1e-6)
    assert mine.predict(points) == pytest.approx(own(points), abs=1e-6)
    asked = {"return_std": True, "return_mean_grad": True, "return_std_grad": True}
    for point in points:
        for ours, other in zip(mine.predict(point[None], **asked), own(point[None], **asked), strict=True):
            assert ours == pytest.approx(other, rel=1e-4, abs=1e-5)
