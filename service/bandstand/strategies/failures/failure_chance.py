"""How likely a point is to fail, by those that have failed and those that have not.

Knows points and outcomes. Must not know trials, nor what a failure is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["FailureChance"]

Array = np.ndarray[Any, Any]

_PRIOR_SLOPE = 8.0
"""Standard deviation of a slope across the whole range of a parameter: borders may be sharp, or not there at all."""
_STEPS = 25
_WIDTH = 0.06
"""Distance at which a neighbour's word has lost most of its weight, per root of the number of coordinates."""
_TREND_WEIGHT = 0.5
"""Neighbours that the trend counts as."""


class FailureChance:
    """A logistic trend across the cube, which what happened nearby corrects.

    The trend (logistic regression with a normal prior) knows after a few failures that large models, or high learning
    rates, fail, also where nobody has been. It cannot draw a closed border. So it counts as one half of a neighbour
    among the trials nearby, each of which has a say that falls with its distance: where trials succeed, a trial does,
    whatever the trend says, and where they fail in the midst of others, it fails.
    """

    def __init__(self, points: Array, failed: Array, weights: Array):
        """Learn.

        Args:
            points: a row for each trial.
            failed: 1 where it failed, else 0.
            weights: how much it says, 0 to 1.
        """
        self._points, self._failed, self._weights = points, failed.astype(float), weights
        self._center = points.mean(axis=0)
        self._slopes = _fit(points - self._center, self._failed, weights)
        self._surprise = self._failed - _logistic(self._slopes[0] + (points - self._center) @ self._slopes[1:])
        self.base = float(weights @ self._failed) / float(weights.sum())
        """The share of the trials that failed."""
        self._width = _WIDTH * max(1.0, np.sqrt(points.shape[1]))

    def of(self, point: Array) -> float:
        """The chance that a trial at this point fails."""
        trend = _logistic(self._slopes[0] + float((point - self._center) @ self._slopes[1:]))
        distances = np.sqrt(((self._points - point) ** 2).sum(axis=1))
        votes = self._weights * np.exp(-((distances / self._width) ** 2))
        correction = float(votes @ self._surprise) / (_TREND_WEIGHT + float(votes.sum()))
        return min(1.0, max(0.0, float(trend) + correction))


def _fit(points: Array, failed: Array, weights: Array) -> Array:
    """Intercept and slopes of greatest posterior density, by Newton's steps."""
    rows = np.hstack([np.ones((len(points), 1)), points])
    precision = np.full(rows.shape[1], _PRIOR_SLOPE**-2)
    slopes = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chances = _logistic(rows @ slopes)
        gradient = rows.T @ (weights * (failed - chances)) - precision * slopes
        curvature = (rows * (weights * chances * (1 - chances))[:, None]).T @ rows + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        slopes = slopes + step * min(1.0, 5.0 / max(1e-12, float(np.abs(step).max())))
        if float(np.abs(step).max()) < 1e-6:
            break
    return slopes


def _logistic(value: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(value, -30, 30)))
