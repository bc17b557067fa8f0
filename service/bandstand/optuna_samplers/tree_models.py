"""scikit-optimize's models made of trees, grown without what is done again for each tree.

Fitted to a hundred observations, a tree takes a tenth of a millisecond; what scikit-learn does around each took four
times that. Trees of one model draw from one generator, too: to seed one for each took as long as to grow it.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state
from skopt.learning import ExtraTreesRegressor, GradientBoostingQuantileRegressor, RandomForestRegressor

from bandstand.optuna_samplers.box import Floats
from bandstand.optuna_samplers.internals import TaggedAsRegressor

__all__ = ["ExtraTrees", "QuantileBoosting", "RandomForest", "tree_model"]


class _Forest:
    """What is the same for both."""

    estimator: Any
    estimator_params: tuple[str, ...]
    bootstrap: bool
    n_estimators: int
    random_state: Any
    min_variance: float

    def fit(self, X: Any, y: Any) -> Any:
        """Grow the trees, each on all rows, or where `bootstrap` says so on as many drawn with replacement."""
        points, values = _for_trees(X), np.asarray(y, dtype=float)
        rng = check_random_state(self.random_state)
        settings = {name: getattr(self, name) for name in self.estimator_params}
        template = clone(self.estimator).set_params(**settings | {"random_state": rng})
        self.estimators_: list[Any] = []
        for _ in range(self.n_estimators):
            weights = None
            if self.bootstrap:
                weights = np.bincount(rng.randint(len(points), size=len(points)), minlength=len(points)).astype(float)
            self.estimators_.append(copy(template).fit(points, values, sample_weight=weights, check_input=False))
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean over the trees; with it the deviation by the law of total variance (Hutter et al. 2014, 4.3.2)."""
        points = _for_trees(X)
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


class RandomForest(_Forest, RandomForestRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's random forest."""


class ExtraTrees(_Forest, ExtraTreesRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's extremely randomized trees."""


class QuantileBoosting(TaggedAsRegressor, GradientBoostingQuantileRegressor):  # type: ignore[misc]  # it has no types.
    """scikit-optimize's boosted trees for quantiles: gradient boosting of the pinball loss (Friedman, 2001, alg. 1).

    Its own also predicts by a function that newer NumPy no longer has.
    """

    quantiles: list[float]
    base_estimator: Any
    random_state: Any

    def fit(self, X: Any, y: Any) -> QuantileBoosting:
        """Boost each quantile by itself, with the same random numbers, so that they keep their order."""
        points, values = _for_trees(X), np.asarray(y, dtype=float)
        seeded = check_random_state(self.random_state).get_state()
        self._stages = [_boosted(points, values, quantile, self.base_estimator, seeded) for quantile in self.quantiles]
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The median; with it half the distance of the outer quantiles, which is the deviation of a normal law."""
        points = _for_trees(X)
        rate = self.base_estimator.learning_rate
        low, median, high = (
            np.add.reduce([rate * tree.value[tree.apply(points), 0, 0] for tree in trees], initial=start, axis=0)
            for start, trees in self._stages
        )
        return (median, (high - low) / 2) if return_std else median


def _boosted(points: Any, values: Floats, quantile: float, settings: Any, seeded: Any) -> tuple[float, list[Any]]:
    """What the first stage starts from, and the tree of each, whose leaves hold the quantile of what is left there."""
    rng = np.random.RandomState()
    rng.set_state(seeded)
    template = DecisionTreeRegressor(max_depth=settings.max_depth, random_state=rng)
    start = float(np.quantile(values, quantile))
    reached = np.full(len(values), start)
    trees = []
    for _ in range(settings.n_estimators):
        left = values - reached
        tree = copy(template).fit(points, np.where(left >= 0, quantile, quantile - 1.0), check_input=False).tree_
        leaves = tree.apply(points)
        _put_quantiles(tree.value[:, 0, 0], left, leaves, quantile)
        reached += settings.learning_rate * tree.value[leaves, 0, 0]
        trees.append(tree)
    return start, trees


def _put_quantiles(target: Floats, values: Floats, groups: NDArray[np.intp], quantile: float) -> None:
    """For each group that has values write their quantile, one of them, to where the group stands in the target."""
    order = np.lexsort((values, groups))
    sizes = np.bincount(groups)
    present = np.flatnonzero(sizes)
    sizes = sizes[present]
    first = np.cumsum(sizes) - sizes
    target[present] = values[order[first + np.ceil(quantile * sizes).astype(np.intp) - 1]]


class _Seconds(GradientBoostingRegressor):  # type: ignore[misc]  # scikit-learn has no types.
    """Boosted trees for the mean of logarithms of seconds, and one deviation for all: that of what they miss."""

    def fit(self, X: Floats, y: Floats) -> _Seconds:
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
        seconds_model = _Seconds(n_estimators=boosting.n_estimators, random_state=self.estimator.random_state)
        self.estimators_ = [clone(self.estimator).fit(X, values), seconds_model.fit(X, seconds)]
        return self


def tree_model(name: str, trees: int | None, seed: int, *, per_second: bool) -> Any:
    """An unfitted one, as scikit-optimize has it.

    Args:
        name: forest, extra_trees or gbrt.
        trees: of a forest, or stages of boosting; None: as scikit-optimize has it, 100 or 30.
        seed: of what is random.
        per_second: for gbrt, whether it is fitted to pairs of value and seconds; others take both without knowing.
    """
    if name != "gbrt":
        forest = {"forest": RandomForest, "extra_trees": ExtraTrees}[name]
        return forest(n_estimators=trees or 100, min_samples_leaf=3, random_state=seed)
    boosting = GradientBoostingRegressor(n_estimators=trees or 30, loss="quantile")
    quantiles = QuantileBoosting(base_estimator=boosting, random_state=seed)
    return _QuantilesAndSeconds(quantiles) if per_second else quantiles


def _for_trees(points: Any) -> NDArray[np.float32]:
    """Rows as trees compare them."""
    return np.ascontiguousarray(points, dtype=np.float32)
