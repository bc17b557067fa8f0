"""scikit-optimize's Gaussian process, with hyperparameters found in a small part of the time.

Knows its kernel: a constant times Matérn 5/2 with a length scale for each column, plus noise.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from skopt.learning import GaussianProcessRegressor
from skopt.utils import cook_estimator

from bandstand.optuna_samplers.matern_likelihood import MaternLikelihood, matern

__all__ = ["GaussianProcess", "gaussian_process"]

_SEARCHED = 50
"""Observations that the hyperparameters are looked for with, at most."""
_NOTHING = 1e-8
"""A deviation that has no slope, relative to that of the values."""


class GaussianProcess(GaussianProcessRegressor):  # type: ignore[misc]  # scikit-optimize has no types.
    """scikit-optimize's own, whose hyperparameters are looked for on some of the observations, then used with all.

    One look takes time in the cube of their number, and a search some two hundred looks: with 100 observations it took
    nine tenths of a second, in which a study answers nobody. With 50 a look by kernels that may be anything still took
    two thirds of a millisecond; by the formulas of this one it takes a ninth of that.
    """

    X_train_: Any
    y_train_: Any
    alpha: float
    alpha_: Any
    kernel: Any
    kernel_: Any
    noise_: float
    K_inv_: Any
    y_train_mean_: Any
    y_train_std_: Any
    log_marginal_likelihood_value_: float

    def fit(self, X: Any, y: Any) -> GaussianProcess:
        """As scikit-optimize has it."""
        self._likelihood: MaternLikelihood | None = None
        super().fit(X, y)
        return self

    def log_marginal_likelihood(self, theta: Any = None, eval_gradient: bool = False, clone_kernel: bool = True) -> Any:
        """Of evenly chosen rows, where there are more than `_SEARCHED`.

        Args:
            theta: logarithms of the constant, of each length scale and of the noise; None: what was found.
            eval_gradient: whether to give the gradient by theta, too.
            clone_kernel: heeded by scikit-learn's own, which sets theta in the kernel; here nothing is set.
        """
        if theta is None:
            return self.log_marginal_likelihood_value_
        if self._likelihood is None:
            rows = _evenly(len(self.X_train_))
            self._likelihood = MaternLikelihood(self.X_train_[rows], self.y_train_[rows], self.alpha)
        return self._likelihood.with_gradient(theta) if eval_gradient else self._likelihood.at(theta)

    def predict(
        self,
        X: Any,
        return_std: bool = False,
        return_cov: bool = False,
        return_mean_grad: bool = False,
        return_std_grad: bool = False,
    ) -> Any:
        """As scikit-optimize has it; gradients for one point at a time."""
        if return_cov:
            return super().predict(X, return_cov=True)
        signal = self.kernel_.k1
        constant, scales = signal.k1.constant_value, signal.k2.length_scale
        steps = (X[:, None, :] - self.X_train_) / scales
        covariances, slopes = matern(constant, np.sqrt(5.0 * (steps**2).sum(axis=2)))
        answer = [covariances @ self.alpha_ * self.y_train_std_ + self.y_train_mean_]
        explained = covariances @ self.K_inv_
        deviations = np.sqrt(np.maximum(constant - (explained * covariances).sum(axis=1), 0.0))
        if return_std:
            answer.append(deviations * self.y_train_std_)
        if return_mean_grad:
            gradients = -slopes[0][:, None] * steps[0] / scales
            answer.append(gradients.T @ self.alpha_ * self.y_train_std_)
            if return_std_grad:
                steady = deviations[0] <= _NOTHING  # where an observation leaves nothing open
                by_point = -(explained[0] @ gradients) / (1.0 if steady else deviations[0])
                answer.append(np.zeros_like(by_point) if steady else by_point * self.y_train_std_)
        return answer[0] if len(answer) == 1 else tuple(answer)


def gaussian_process(width: int, restarts: int, seed: int) -> GaussianProcess:
    """An unfitted one, as scikit-optimize has it for points of `width` numbers in [0, 1]."""
    return GaussianProcess(**{**_cooked(width), "n_restarts_optimizer": restarts, "random_state": seed})


@cache
def _cooked(width: int) -> dict[str, Any]:
    """Settings of scikit-optimize's; to make them takes longer than to fit a forest."""
    settings: dict[str, Any] = cook_estimator("GP", space=[(0.0, 1.0)] * width).get_params(deep=False)
    return settings


@cache
def _evenly(count: int) -> Any:
    """Indices of at most `_SEARCHED` of so many rows."""
    return np.unique(np.linspace(0, count - 1, min(_SEARCHED, count)).round().astype(int))
