"""Where scikit-optimize and scikit-learn are used otherwise than they say, each with what happens if they change.

Knows scikit-optimize 0.10.2, the last release (2024), and scikit-learn 1.6 to 1.9. Must not know boxes, trials or
Optuna. The models of `gaussian_process.py` and `tree_models.py` are subclasses of scikit-optimize's, held against the
originals by tests of their own; what they share with it by name stands there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import RegressorTags, Tags
from skopt import Optimizer
from skopt.space import Real, Space

__all__ = ["CandidateSpace", "TaggedAsRegressor", "draw_from"]

_Rows = NDArray[np.float64]


class CandidateSpace(Space):  # type: ignore[misc]  # scikit-optimize has no types.
    """Numbers in [0, 1] whose random points are ours, instead of uniform ones.

    Stands on `Space.rvs`, from which the Optimizer has its candidates, and on `transform` and `inverse_transform`,
    which here change nothing. If the Optimizer draws its candidates by another method, proposals are made of uniform
    points, without a word.
    """

    def __init__(self, width: int, draw: Callable[[int, np.random.Generator], _Rows]):
        """`draw(count, rng)` gives rows of `width` numbers."""
        super().__init__(_unit_dimensions(width))
        self._draw = draw

    def rvs(self, n_samples: int = 1, random_state: Any = None) -> list[list[float]]:
        """As scikit-optimize's."""
        rng = np.random.default_rng(random_state.randint(2**31 - 1))
        points: list[list[float]] = self._draw(n_samples, rng).tolist()
        return points

    def transform(self, X: Any) -> _Rows:
        """As scikit-optimize's."""
        return np.asarray(X, dtype=float)

    def inverse_transform(self, Xt: Any) -> list[list[float]]:
        """As scikit-optimize's."""
        points: list[list[float]] = np.asarray(Xt, dtype=float).tolist()
        return points


@cache
def _unit_dimensions(width: int) -> list[Real]:
    """Made once: each describes its distribution in a docstring of its own."""
    return [Real(0.0, 1.0) for _ in range(width)]


def draw_from(optimizer: Optimizer, space: Space) -> None:
    """Have an Optimizer that has been told nothing yet draw its candidates from this space.

    Stands on the attribute `space`: the Optimizer makes a space of its own from what it is given, even from a space. If
    it keeps that elsewhere, proposals are made of uniform points, without a word.
    """
    optimizer.space = space


class TaggedAsRegressor:
    """Before a model of scikit-optimize's in a class's bases: scikit-learn takes it for the regressor that it is.

    Stands on `__sklearn_tags__` (scikit-learn 1.6 and later); the bases of scikit-optimize's own stand in an order that
    loses what `RegressorMixin` says. If tags are asked for otherwise, scikit-learn refuses `gbrt` with an error.
    """

    def __sklearn_tags__(self) -> Tags:
        """As scikit-learn's."""
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]  # the other base has it
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        return tags
