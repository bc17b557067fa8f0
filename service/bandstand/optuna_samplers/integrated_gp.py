"""One proposal by a Gaussian process whose hyperparameters are integrated out.

Snoek, Larochelle and Adams (NeurIPS 2012, section 3.1), as in Spearmint: the kernel's hyperparameters are drawn from
their posterior by slice sampling, and the acquisition is averaged over the draws. With few observations the most likely
hyperparameters are often wrong, and a model that is sure of them explores too little. The prior is uniform in the
logarithm of each, within the bounds that scikit-optimize gives its kernel.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from bandstand.optuna_samplers.box import Box, Floats
from bandstand.optuna_samplers.gaussian_process import GaussianProcess, gaussian_process
from bandstand.optuna_samplers.surrogates import Observed, best_unvisited, candidate_space, gain
from bandstand.optuna_samplers.visited import Visited

__all__ = ["propose_by_integrated_gp", "slice_samples"]

_STARTS = 3
_BURN_IN = 2


def propose_by_integrated_gp(
    box: Box,
    observed: Observed,
    visited: Visited,
    *,
    draws: int,
    acquisition: str,
    xi: float,
    kappa: float,
    candidates: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The point with the best average acquisition (EI, PI or LCB) over `draws` draws of the hyperparameters."""
    seed = np.random.RandomState(int(rng.integers(2**31 - 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Kernel parameters at their bounds, points near each other: for developers.
        models = _posterior(box.columns(observed.units), observed.values, draws, rng)
        best = float(observed.values.min())

        def average(columns: Floats, return_grad: bool = False) -> Any:
            answers = [
                gain(columns, model, acquisition, best, xi=xi, kappa=kappa, return_grad=return_grad) for model in models
            ]
            return tuple(np.mean(part, axis=0) for part in zip(*answers, strict=True)) if return_grad else (
                np.mean(answers, axis=0)
            )  # fmt: skip

        space = candidate_space(box, observed)
        found = np.asarray(space.rvs(candidates, seed))
        starts = found[np.argsort(-average(found), kind="stable")[:_STARTS]]
        climbed = [_climb(average, start) for start in starts]
        params = box.params(box.units_at(max(climbed, key=lambda pair: pair[0])[1]))
        return params if params not in visited else best_unvisited(box, visited, rng, average)


def _posterior(columns: Floats, values: Floats, draws: int, rng: np.random.Generator) -> list[GaussianProcess]:
    """Fitted models, one for each draw of the hyperparameters; the chain starts at the most likely ones."""
    likeliest = gaussian_process(columns.shape[1], 0, 0).fit(columns, values)
    start = np.concatenate([likeliest.kernel_.k1.theta, [np.log(likeliest.noise_)]])
    bounds = likeliest.kernel.bounds
    thetas = slice_samples(likeliest.log_marginal_likelihood, start, bounds, _BURN_IN + draws, rng)[_BURN_IN:]
    models = []
    for theta in thetas:
        kernel = likeliest.kernel.clone_with_theta(theta)
        models.append(GaussianProcess(kernel, normalize_y=True, noise="gaussian", optimizer=None).fit(columns, values))
    return models


def slice_samples(
    log_density: Callable[[Floats], float], start: Floats, bounds: Floats, sweeps: int, rng: np.random.Generator
) -> list[Floats]:
    """Draws from a density within a box, one after each sweep over the coordinates (Neal, Annals of Statistics, 2003).

    Args:
        log_density: logarithm of the density, up to a constant.
        start: where the chain begins.
        bounds: (low, high) rows; the density is taken as 0 outside.
        sweeps: how often every coordinate is updated.
        rng: where the randomness comes from.
    """
    point = np.clip(start, bounds[:, 0], bounds[:, 1])
    level = log_density(point)
    samples = []
    for _ in range(sweeps):
        for index in rng.permutation(len(point)):
            height = level - rng.exponential()
            # The first interval is the whole range: shrinking finds the slice in a few steps, stepping out never pays.
            low, high = bounds[index]
            while True:
                proposed = point.copy()
                proposed[index] = rng.uniform(low, high)
                reached = log_density(proposed)
                if reached > height or high - low < 1e-9:
                    break
                if proposed[index] < point[index]:
                    low = proposed[index]
                else:
                    high = proposed[index]
            if reached > height:
                point, level = proposed, reached
        samples.append(point.copy())
    return samples


def _climb(gain: Callable[..., Any], start: Floats) -> tuple[float, Floats]:
    """The local maximum above a start, by L-BFGS-B, and its height."""

    def loss(point: Floats) -> tuple[float, Floats]:
        height, slope = gain(point[None, :], return_grad=True)
        return -float(np.ravel(height)[0]), -np.ravel(slope)

    result = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(start), options={"maxiter": 20}
    )
    return -float(result.fun), np.clip(result.x, 0.0, 1.0)
