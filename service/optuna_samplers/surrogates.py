"""One proposal by scikit-optimize's `Optimizer`: a model is fitted to what was observed, an acquisition maximized.

The Optimizer is made anew each time and told everything at once. It sees a plain box in [0, 1] (see `box`), so that its
own handling of steps, logarithms and categories, which loses precision at the bounds, is not needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import RegressorTags, Tags
from skopt import Optimizer
from skopt.acquisition import gaussian_ei
from skopt.learning import (
    ExtraTreesRegressor,
    GaussianProcessRegressor,
    GradientBoostingQuantileRegressor,
    RandomForestRegressor,
)
from skopt.space import Real, Space
from skopt.utils import cook_estimator

from service.optuna_samplers.box import Box, Floats, Visited

__all__ = ["MODELS", "Observed", "acquisition_options", "best_unvisited", "candidate_space", "propose_by_optimizer"]

MODELS = {"gp": "GP", "forest": "RF", "extra_trees": "ET", "gbrt": "GBRT"}
"""Our name of each model, and scikit-optimize's."""
HEDGE_STEPS = 4
"""Latest observations told to `gp_hedge` one by one; each costs a fit."""
_SEARCHED = 50
"""Observations that a Gaussian process's hyperparameters are looked for with, at most."""
_INCUMBENTS = 5
_SUBSTITUTES = 100


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a model is fitted to. Rows are observations, the oldest first, those still running last."""

    units: Floats
    """As `Box.units`."""
    values: Floats
    """To be minimized, with mean 0 and standard deviation 1; a lie for those still running."""
    seconds: Floats
    """What each took, above 0."""
    running: int
    """How many of the last rows are lies."""


class _CandidateSpace(Space):  # type: ignore[misc]  # scikit-optimize has no types.
    """Columns of a box, from which the Optimizer draws our candidates instead of uniform points."""

    def __init__(self, box: Box, incumbents: Floats):
        super().__init__([Real(0.0, 1.0) for _ in range(box.width)])
        self._box = box
        self._incumbents = incumbents

    def rvs(self, n_samples: int = 1, random_state: Any = None) -> list[list[float]]:
        rng = np.random.default_rng(random_state.randint(2**31 - 1))
        points: list[list[float]] = self._box.columns(self._box.candidates(n_samples, self._incumbents, rng)).tolist()
        return points

    def transform(self, X: Any) -> Floats:
        return np.asarray(X, dtype=float)

    def inverse_transform(self, Xt: Any) -> list[list[float]]:
        points: list[list[float]] = np.asarray(Xt, dtype=float).tolist()
        return points


class _SubsetSearchGP(GaussianProcessRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's own, whose hyperparameters are looked for on some of the observations, then used with all.

    One look takes time in the cube of their number, and a search some two hundred looks: with 100 observations it took
    nine tenths of a second, in which a study answers nobody.
    """

    X_train_: Any
    y_train_: Any

    def log_marginal_likelihood(self, theta: Any = None, eval_gradient: bool = False, clone_kernel: bool = True) -> Any:
        """Of evenly chosen rows, where there are more than `_SEARCHED`."""
        X, y = self.X_train_, self.y_train_
        rows = np.unique(np.linspace(0, len(X) - 1, min(_SEARCHED, len(X))).round().astype(int))
        self.X_train_, self.y_train_ = X[rows], y[rows]
        try:
            return super().log_marginal_likelihood(theta, eval_gradient, clone_kernel)
        finally:
            self.X_train_, self.y_train_ = X, y


class _QuickForest:
    """scikit-optimize's forests, where what is done for each tree is done once: each tree is walked through once
    instead of three times, and copied instead of made from its own inspected signature.
    """

    estimators_: list[Any]
    min_variance: float

    def _make_estimator(self, append: bool = True, random_state: Any = None) -> Any:
        """A tree to be grown, as scikit-learn's own makes it."""
        if not hasattr(self, "_template"):
            self._template = super()._make_estimator(append=False, random_state=0)  # type: ignore[misc]
        tree = copy(self._template)
        tree.random_state = random_state.randint(np.iinfo(np.int32).max)
        if append:
            self.estimators_.append(tree)
        return tree

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean over the trees; with it the deviation by the law of total variance (Hutter et al. 2014, 4.3.2)."""
        points = np.asarray(X, dtype=np.float32)  # as trees compare
        means = np.empty((len(self.estimators_), len(points)))
        variances = np.empty_like(means)
        for row, estimator in enumerate(self.estimators_):
            tree = estimator.tree_
            leaves = tree.apply(points)
            means[row] = tree.value[leaves, 0, 0]
            variances[row] = tree.impurity[leaves]
        mean = means.mean(axis=0)
        if not return_std:
            return mean
        variance = (np.maximum(variances, self.min_variance) + means**2).mean(axis=0) - mean**2
        return mean, np.sqrt(np.maximum(variance, 0.0))


class _RandomForest(_QuickForest, RandomForestRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's random forest."""


class _ExtraTrees(_QuickForest, ExtraTreesRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's extremely randomized trees."""


_QUICKER = {"gp": _SubsetSearchGP, "forest": _RandomForest, "extra_trees": _ExtraTrees}


class _QuantileRegressor(GradientBoostingQuantileRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's own, mended: it inherits in an order that newer scikit-learn does not take for a regressor,
    and predicts by a function that newer NumPy no longer has.
    """

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        return tags

    def predict(self, X: Floats, return_std: bool = False) -> Any:
        low, median, high = (regressor.predict(X) for regressor in self.regressors_)
        return (median, (high - low) / 2) if return_std else median


class _SecondsRegressor(GradientBoostingRegressor):  # type: ignore[misc]  # scikit-learn has no types.
    """Boosted trees for the mean of logarithms of seconds, and one deviation for all: that of what they miss."""

    def fit(self, X: Floats, y: Floats) -> _SecondsRegressor:
        super().fit(X, y)
        self.deviation_ = float(np.std(y - super().predict(X)))
        return self

    def predict(self, X: Floats, return_std: bool = False) -> Any:
        mean = super().predict(X)
        return (mean, np.full(len(mean), self.deviation_)) if return_std else mean


class _QuantilesAndSeconds(MultiOutputRegressor):  # type: ignore[misc]  # scikit-learn has no types.
    """What EIps needs of boosting: quantiles of the values, as otherwise, and the mean of the seconds.

    scikit-optimize would model the seconds by quantiles too, and take half their distance for a deviation that rewards
    a point for not knowing how long it takes: with it EIps was no quicker than EI.
    """

    def fit(self, X: Floats, y: Floats) -> _QuantilesAndSeconds:
        values, seconds = np.asarray(y, dtype=float).T
        boosting = self.estimator.base_estimator
        seconds_model = _SecondsRegressor(n_estimators=boosting.n_estimators, random_state=self.estimator.random_state)
        self.estimators_ = [clone(self.estimator).fit(X, values), seconds_model.fit(X, seconds)]
        return self


def propose_by_optimizer(
    box: Box,
    observed: Observed,
    visited: Visited,
    *,
    model: str,
    acquisition: str,
    xi: float,
    kappa: float,
    candidates: int,
    restarts: int,
    trees: int | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The point with the best acquisition, or where a trial has been there, the best of random unvisited ones."""
    optimizer = Optimizer(
        [(0.0, 1.0)] * box.width,
        _regressor(model, box, restarts, trees, _seed(rng), per_second=acquisition == "EIps"),
        n_initial_points=1,
        acq_func=acquisition,
        acq_func_kwargs=acquisition_options(xi, kappa),
        # For EIps the Optimizer takes any model for one with gradients.
        acq_optimizer="lbfgs" if model == "gp" else "sampling",
        acq_optimizer_kwargs={"n_points": candidates},
        random_state=_seed(rng),
        avoid_duplicates=False,  # It looks for another point in the columns; we, among the params.
    )
    optimizer.space = candidate_space(box, observed)
    # scikit-learn would check the same parameters again for each tree.
    with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True):
        warnings.simplefilter("ignore")  # Kernel parameters at their bounds, points near each other: for developers.
        for first, last in _batches(observed, acquisition):
            optimizer.tell(box.columns(observed.units[first:last]).tolist(), _told(observed, acquisition, first, last))
        params = box.params(box.units_at(np.asarray(optimizer.ask())))
        if params not in visited:
            return params
        fitted = optimizer.models[-1]
        fitted = fitted.estimators_[0] if acquisition == "EIps" else fitted
        best = float(observed.values.min())
        return best_unvisited(box, visited, rng, lambda columns: gaussian_ei(columns, fitted, best, xi))


def best_unvisited(
    box: Box, visited: Visited, rng: np.random.Generator, score: Any, count: int = 100
) -> dict[str, Any]:
    """Of random points where no trial has been, the one with the highest score; any point if none is left."""
    points = [box.draw(rng, visited)]
    drawn = (box.params(units) for units in rng.random((count, len(box.names))))
    points += [point for point in drawn if point not in visited]
    units = [box.units(point) for point in points]
    scores = score(box.columns(np.array(units)))
    return points[int(np.argmax(scores))]


def candidate_space(box: Box, observed: Observed) -> Any:
    """A scikit-optimize space whose random points are half anywhere, half near the best that were observed."""
    known = len(observed.values) - observed.running
    return _CandidateSpace(box, observed.units[np.argsort(observed.values[:known], kind="stable")[:_INCUMBENTS]])


def acquisition_options(xi: float, kappa: float) -> dict[str, float]:
    """As scikit-optimize names them."""
    return {"xi": xi, "kappa": kappa}


def _batches(observed: Observed, acquisition: str) -> Sequence[tuple[int, int]]:
    """From which row to which the Optimizer is told at once: it fits after each batch.

    GP-Hedge (Hoffman et al., UAI 2011) credits each acquisition with what the next model thinks of the point it wanted.
    A stateless sampler can play that through for the latest observations only.
    """
    count = len(observed.values)
    if acquisition != "gp_hedge":
        return [(0, count)]
    known = count - observed.running
    first = max(known - HEDGE_STEPS, min(known, 2))
    ends = [*range(first, known), count]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _told(observed: Observed, acquisition: str, first: int, last: int) -> list[Any]:
    values = observed.values[first:last]
    if acquisition != "EIps":
        return list(values.tolist())
    # The Optimizer takes the smallest of all numbers, values and logarithms of seconds alike, for the best value. The
    # models do not mind where zero is, so the values are moved below the logarithms.
    lowest = min(float(np.log(observed.seconds).min()), 0.0)
    moved = values - observed.values.max() + lowest - 1
    return [list(pair) for pair in zip(moved.tolist(), observed.seconds[first:last].tolist(), strict=True)]


def _regressor(model: str, box: Box, restarts: int, trees: int | None, seed: int, *, per_second: bool) -> Any:
    if model == "gbrt":
        boosting = GradientBoostingRegressor(n_estimators=trees or 30, loss="quantile")
        quantiles = _QuantileRegressor(base_estimator=boosting, random_state=seed)
        return _QuantilesAndSeconds(quantiles) if per_second else quantiles
    chosen = {"n_restarts_optimizer": restarts} if model == "gp" else {"n_estimators": trees or 100}
    regressor = cook_estimator(MODELS[model], space=[(0.0, 1.0)] * box.width, random_state=seed, **chosen)
    return _QUICKER[model](**regressor.get_params(deep=False))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31 - 1))
