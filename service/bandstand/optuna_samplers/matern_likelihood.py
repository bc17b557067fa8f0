"""How likely hyperparameters are: of a constant times Matérn 5/2, a length scale for each column, plus noise.

Knows the formulas. Must not know who looks for the hyperparameters, nor how.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from bandstand.optuna_samplers.box import Floats

__all__ = ["MaternLikelihood", "matern"]


def matern(constant: float, distances: Floats) -> tuple[Floats, Floats]:
    """Covariances by Matérn 5/2, and what each falls by where half the square of the scaled step grows.

    Args:
        constant: the covariance at distance 0.
        distances: steps in length scales, times the root of 5.
    """
    decay = constant * np.exp(-distances)
    near = 1.0 + distances
    return decay * (near + distances**2 / 3.0), decay * near * (5.0 / 3.0)


class MaternLikelihood:
    """The logarithm of the marginal likelihood (Rasmussen and Williams, 2006, equations 5.8 and 5.9).

    A search takes some two hundred looks, so that the fixed costs of each matter: of a matrix, which is symmetric, one
    half is computed, and it is factored and inverted in place.
    """

    def __init__(self, points: Floats, values: Floats, jitter: float):
        """Of observations.

        Args:
            points: a row for each.
            values: what was observed there.
            jitter: added to the noise, so that a matrix can be factored.
        """
        self._values = values
        self._jitter = jitter
        self._first, self._second = np.triu_indices(len(points), 1)
        self._squares = (points[self._first] - points[self._second]) ** 2  # a row for each pair

    def at(self, theta: Floats) -> float:
        """Minus infinity where the matrix cannot be factored.

        Args:
            theta: logarithms of the constant, of each length scale and of the noise.
        """
        return self._solved(theta, gradient=False)[0]

    def with_gradient(self, theta: Floats) -> tuple[float, Floats]:
        """The same, and its gradient by theta."""
        return self._solved(theta, gradient=True)

    def _solved(self, theta: Floats, *, gradient: bool) -> tuple[float, Floats]:
        count = len(self._values)
        constant, scales, noise = np.exp(theta[0]), np.exp(theta[1:-1]), np.exp(theta[-1])
        smooth, slopes = matern(constant, np.sqrt(self._squares @ (5.0 / scales**2)))
        matrix = np.zeros((count, count))
        matrix[self._first, self._second] = smooth
        np.fill_diagonal(matrix, constant + noise + self._jitter)
        # The upper half by rows is the lower half by columns, which is how LAPACK reads it.
        factor, failed = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return -np.inf, np.zeros_like(theta)
        weights = dpotrs(factor, self._values, lower=1)[0]
        likelihood = -0.5 * self._values @ weights - np.log(np.diagonal(factor)).sum() - 0.5 * count * np.log(2 * np.pi)
        if not gradient:
            return likelihood, np.empty(0)
        inverse = dpotri(factor, lower=1, overwrite_c=1)[0].T
        inner = weights[self._first] * weights[self._second] - inverse[self._first, self._second]
        trace = weights @ weights - np.trace(inverse)
        by_scales = 2.0 * (inner * slopes) @ self._squares / scales**2
        return likelihood, 0.5 * np.concatenate([[2.0 * inner @ smooth + constant * trace], by_scales, [noise * trace]])
