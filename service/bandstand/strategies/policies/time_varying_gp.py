"""A Gaussian process for a reward that changes with time.

Knows points, times and rewards as numbers. Must not know trials or parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

__all__ = ["TimeVaryingGP"]

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_FORGETTING = (0.01, 0.03, 0.1, 0.3)
_NOISE = (0.001, 0.01, 0.1, 0.3, 1.0)
_PRIOR_WIDTH = 1.5  # in natural logarithms: a factor of 4.5 either way is one standard deviation
_SWEEPS = 2
_LATEST = 64  # rewards that the settings are found from: more than 100 factorizations have to be small ones


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kernel:
    """The kernel's settings; the prior's means are those of `_usual`."""

    lengths: tuple[float, ...]  # a dimension each, in widths of the unit cube
    forgetting: float  # ω: the squared correlation of rewards one unit of time apart is 1 - ω
    noise: float  # variance of a reward of variance 1 that no point and no time explains


class TimeVaryingGP:
    """Regression with the kernel of TV-GP-UCB (Bogunovic et al., AISTATS 2016), as PB2 uses it.

    k((x, t), (x', t')) = exp(-Σᵢ (xᵢ - x'ᵢ)² / 2ℓᵢ²) · (1 - ω)^(|t - t'| / 2), with a length ℓᵢ for each dimension and
    white noise. Lengths, ω and noise are the most probable ones of a few values each, under a wide log-normal prior
    that keeps a handful of rewards from deciding everything. They are found from the latest 64 rewards, one after the
    other on a grid, not by gradients: a fit costs a bounded number of small factorizations and has no tolerance in
    which two machines could differ.
    """

    def __init__(self, points: Numbers, times: Numbers, rewards: Numbers):
        """Fit.

        Args:
            points: (n, d), in the unit cube, oldest first; n at least 1.
            times: (n,), in units in which 1 is a short while.
            rewards: (n,), finite, larger is better; of any scale.
        """
        self._points, self._times = points, times
        self._rewards = _standardized(rewards)
        self._kernel = _most_probable(points[-_LATEST:], times[-_LATEST:], self._rewards[-_LATEST:])
        self._weights = np.linalg.solve(_covariance(self._kernel, points, times), self._rewards)
        self._looked_at: tuple[Numbers, Numbers, Numbers, Numbers] | None = None

    def upper_bounds(self, points: Numbers, time: float, pending: Numbers, pending_times: Numbers) -> Numbers:
        """How good the reward may be at points and a time: mean + √β · standard deviation, in units of the fit.

        Pending points are as good as observed for the deviation and say nothing to the mean, since the deviation
        depends on where was looked and not on what was seen (GP-BUCB, Desautels et al., JMLR 15, 2014). β = 0.2 +
        max(0, ln 0.4n) as in the code of PB2's authors.

        Args:
            points: (m, d).
            time: theirs.
            pending: (k, d), points whose rewards are not known yet; k may be 0.
            pending_times: (k,).

        Returns:
            (m,).
        """
        times = np.full(len(points), time)
        mean = _correlation(self._kernel, points, times, self._points, self._times) @ self._weights
        known, known_times, factor = self._all_looked_at(pending, pending_times)
        across = _correlation(self._kernel, points, times, known, known_times)
        variance = 1 - np.sum(_whitened(factor, across.T) ** 2, axis=0)
        beta = 0.2 + max(0.0, float(np.log(0.4 * len(self._points))))
        bounds: Numbers = mean + np.sqrt(beta * np.maximum(variance, 0.0))
        return bounds

    def _all_looked_at(self, pending: Numbers, pending_times: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Points, times and the Cholesky factor of their covariance; kept, as whoever searches asks again and again."""
        if self._looked_at is None or self._looked_at[0] is not pending:
            known: Numbers = np.concatenate([self._points, pending])
            times: Numbers = np.concatenate([self._times, pending_times])
            factor = np.asarray(np.linalg.cholesky(_covariance(self._kernel, known, times)), dtype=np.float64)
            self._looked_at = pending, known, times, factor
        _, known, times, factor = self._looked_at
        return known, times, factor


def _most_probable(points: Numbers, times: Numbers, rewards: Numbers) -> _Kernel:
    best = _usual(points.shape[1])
    posterior = _Posterior(points, times, rewards)
    score = posterior.at(best)
    for _ in range(_SWEEPS):
        before = best
        for change in range(points.shape[1] + 2):
            for kernel in _variants(best, change):
                other = posterior.at(kernel)
                if other > score:
                    best, score = kernel, other
        if best == before:
            break
    return best


class _Posterior:
    """How probable kernels are, given some rewards. What does not depend on the kernel is computed once."""

    def __init__(self, points: Numbers, times: Numbers, rewards: Numbers):
        columns = points.T[:, :, None]
        self._squares = (columns - columns.transpose(0, 2, 1)) ** 2 / 2  # (d, n, n)
        self._gaps = np.abs(times[:, None] - times[None, :]) / 2
        self._rewards = rewards

    def at(self, kernel: _Kernel) -> float:
        """Log marginal likelihood (Rasmussen and Williams, 2006, equation 2.30) and log prior, less their constants."""
        exponents = np.tensordot(np.array(kernel.lengths) ** -2.0, self._squares, axes=1)
        covariance = np.exp(self._gaps * np.log1p(-kernel.forgetting) - exponents)
        covariance.flat[:: len(covariance) + 1] += kernel.noise
        factor = np.linalg.cholesky(covariance)
        whitened = _whitened(factor, self._rewards)
        likelihood = -0.5 * float(whitened @ whitened) - float(np.log(np.diag(factor)).sum())
        usual = _usual(len(kernel.lengths))
        ratios = np.log(
            [
                kernel.forgetting / usual.forgetting,
                kernel.noise / usual.noise,
                *(length / other for length, other in zip(kernel.lengths, usual.lengths, strict=True)),
            ]
        )
        return likelihood - 0.5 * float(np.sum((ratios / _PRIOR_WIDTH) ** 2))


def _whitened(factor: Numbers, values: Numbers) -> Numbers:
    """The solution x of `factor` x = values, for the lower factor of a covariance."""
    from scipy.linalg import solve_triangular

    solution: Numbers = solve_triangular(factor, values, lower=True, check_finite=False)
    return solution


def _covariance(kernel: _Kernel, points: Numbers, times: Numbers) -> Numbers:
    """Of rewards at points and times with their noise, (n, n)."""
    covariance: Numbers = _correlation(kernel, points, times, points, times) + kernel.noise * np.eye(len(points))
    return covariance


def _usual(dimensions: int) -> _Kernel:
    return _Kernel(lengths=(0.4,) * dimensions, forgetting=0.1, noise=0.1)


def _variants(kernel: _Kernel, change: int) -> list[_Kernel]:
    """Kernels that differ in one setting: the first is ω, the second the noise, then the lengths."""
    if change == 0:
        return [replace(kernel, forgetting=value) for value in _FORGETTING]
    if change == 1:
        return [replace(kernel, noise=value) for value in _NOISE]
    place = change - 2
    return [
        replace(kernel, lengths=(*kernel.lengths[:place], value, *kernel.lengths[place + 1 :])) for value in _LENGTHS
    ]


def _correlation(kernel: _Kernel, points: Numbers, times: Numbers, others: Numbers, other_times: Numbers) -> Numbers:
    """(len(points), len(others))."""
    lengths = np.array(kernel.lengths)
    left, right = points / lengths, others / lengths
    squares = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1)[None, :] - 2 * left @ right.T
    gaps = np.abs(times[:, None] - other_times[None, :])
    correlation: Numbers = np.exp(-0.5 * np.maximum(squares, 0.0)) * (1 - kernel.forgetting) ** (gaps / 2)
    return correlation


def _standardized(rewards: Numbers) -> Numbers:
    """Mean 0 and deviation 1; all 0 where they are all alike."""
    spread = float(np.std(rewards))
    centred: Numbers = rewards - np.mean(rewards)
    return centred / spread if spread > 0 else np.zeros_like(rewards)
