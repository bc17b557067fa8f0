"""What repeated runs allow to conclude: intervals, tests, speed-ups, ranks.

Knows numbers. Must not know studies, or what is said about the numbers. All of them are turned by their sign so that
more is better; `None` is a value that is not there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil, isfinite, log2, nan, sqrt
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy import stats

__all__ = [
    "CONFIDENCE",
    "ConfidenceInterval",
    "Paired",
    "SpeedUp",
    "average_ranks",
    "holm",
    "mean_interval",
    "median_band",
    "paired",
    "repeats_needed",
    "share_of_wins",
    "speed_up",
]

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

CONFIDENCE = 0.95
_RESAMPLES = 4_000
_BATCH = 200
"""Resamples at a time: bounds memory; more are slower."""
_EXACT = 12
"""Up to so many pairs all sign changes are tried, 4,096 at most."""
_POWER = 0.8
_ROUNDING = 1e-6
"""Part of a value below which a difference is that of float32 sums in another order."""
MOST_REPEATS = 1_000


class ConfidenceInterval(NamedTuple):
    """A mean and the interval that holds it with 95 % confidence; NaN ends where one number is all there is."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """A strategy against another in the repeats that both have, more being better."""

    pairs: int
    difference: ConfidenceInterval
    p: float
    """Of the hypothesis that the differences are symmetric about 0, two-sided; not corrected for several tests."""
    effect: float
    """Cohen's d of the differences, their mean over their standard deviation; NaN where there is none."""
    differences: tuple[float, ...]


class SpeedUp(NamedTuple):
    """How many times fewer epochs a strategy needed than the baseline did to reach the baseline's final value."""

    ratio: float | None
    """The median over repeats; None where half of them or more did not reach it."""
    low: float | None
    """Lower end of the interval; None where it was not reached, NaN where one repeat tells nothing."""
    high: float | None
    reached: int
    repeats: int


def mean_interval(values: Sequence[float]) -> ConfidenceInterval:
    """Student's t interval for a mean; the values are taken for independent and nearly normal."""
    mean = float(np.mean(values)) if len(values) else nan
    if len(values) < 2:
        return ConfidenceInterval(mean, nan, nan)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / sqrt(len(values))
    return ConfidenceInterval(mean, mean - half, mean + half)


def paired(mine: Sequence[float], theirs: Sequence[float]) -> Paired:
    """Compare what two strategies reached in the same repeats.

    The test is the paired permutation test: were both the same, each difference could as well have the other sign
    (Fisher, The Design of Experiments, 1935). Exact up to 12 pairs, by 10,000 random sign changes beyond. With n pairs
    its least p is 2 / 2^n, so that five can never fall below .05.
    """
    differences = np.subtract(mine, theirs).astype(float)
    differences[np.abs(differences) <= _ROUNDING * np.maximum(np.abs(mine), np.abs(theirs))] = 0.0
    interval = mean_interval(list(differences))
    if len(differences) < 2:
        return Paired(len(differences), interval, 1.0, nan, tuple(differences))
    deviation = float(np.std(differences, ddof=1))
    effect = interval.mean / deviation if deviation > 0 else nan
    return Paired(len(differences), interval, _sign_change_p(differences), effect, tuple(map(float, differences)))


def _sign_change_p(differences: Floats) -> float:
    if not differences.any():
        return 1.0
    count = len(differences)
    if count <= _EXACT:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (10_000, count))
        signs[0] = 1  # what was found is one of the cases, or p might be 0
    sums = np.abs(signs @ differences)
    rounding = 1e-12 * np.abs(differences).sum()  # of the terms: a sum of about 0 is nothing but rounding
    return float(np.mean(sums >= abs(differences.sum()) - rounding))


def holm(ps: Sequence[float]) -> list[float]:
    """P values corrected for being several (Holm, Scandinavian Journal of Statistics 6, 1979), in the same order."""
    order = np.argsort(ps)
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = largest
    return corrected


def repeats_needed(found: Paired, tests: int) -> int | None:
    """Repeats with which a difference like the one found would be shown in four of five comparisons.

    The more of two numbers: with which the permutation test can fall below .05 / tests at all, and with which a paired
    t test has a power of 80 % at the effect found. An effect found in few repeats is uncertain itself: this is a hint.

    Args:
        found: so far.
        tests: how many are made; the level is divided by it.

    Returns:
        None where there is no effect, or more than 1,000 would be needed.
    """
    level = (1 - CONFIDENCE) / tests
    least = ceil(log2(2 / level))
    if not isfinite(found.effect):
        return least if found.difference.mean else None
    possible = range(max(least, 2), MOST_REPEATS + 1)
    # The power grows with the repeats.
    index = bisect_left(possible, _POWER, key=lambda repeats: _power(abs(found.effect), repeats, level))
    return possible[index] if index < len(possible) else None


def _power(effect: float, repeats: int, level: float) -> float:
    critical = stats.t.ppf(1 - level / 2, repeats - 1)
    # The noncentral t distribution loses its digits far out, where the power is 1 anyway.
    shift = effect * sqrt(repeats)
    return 1.0 if shift > critical + 10 else float(stats.nct.sf(critical, repeats - 1, shift))


def share_of_wins(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The probability that a run of one is better than a run of the other, a tie counting half.

    Over all pairs of runs: the A of Vargha and Delaney (Journal of Educational and Behavioral Statistics 25, 2000).
    """
    wins = np.sign(np.subtract.outer(np.asarray(mine, dtype=float), np.asarray(theirs, dtype=float)))
    return float(np.mean((wins + 1) / 2)) if wins.size else nan


def average_ranks(values: Sequence[Sequence[float]]) -> list[float]:
    """The mean rank of each strategy over the repeats, 1 the best; ties share.

    Args:
        values: for each strategy what it reached in each repeat, more being better; (strategies, repeats).
    """
    if not values or not len(values[0]):
        return [nan] * len(values)
    return [float(rank) for rank in stats.rankdata(-np.asarray(values, dtype=float), axis=0).mean(axis=1)]


def median_band(curves: Floats) -> tuple[Floats, Floats, Floats]:
    """The median over repeats at each point, with the ends of its 95 % percentile bootstrap interval.

    Repeats are drawn with replacement, 4,000 times (Efron, The Annals of Statistics 7, 1979), the same for all points.
    A point where a repeat has no value yet has neither; of one repeat the interval is its value.

    Args:
        curves: (repeats, points), NaN where there is no value yet.

    Returns:
        Median, low, high: (points,).
    """
    median = np.median(curves, axis=0)
    low, high = median.copy(), median.copy()
    there = ~np.isnan(median)
    if len(curves) > 1 and there.any():
        found = stats.bootstrap(
            (curves[:, there],), np.median, axis=0, vectorized=True, method="percentile",
            n_resamples=_RESAMPLES, batch=_BATCH, confidence_level=CONFIDENCE, rng=np.random.default_rng(0),
        )  # fmt: skip
        low[there], high[there] = found.confidence_interval
    return median, low, high


def speed_up(mine: Sequence[float | None], theirs: Sequence[float | None]) -> SpeedUp:
    """Speed-up in reaching the baseline's final value.

    The baseline's own epochs are those in which it reached that value, not all of its budget, so that a baseline which
    was lucky early is no slower for having gone on. A repeat in which the value was not reached counts as slower than
    any other. The interval is the percentile bootstrap's for the median.

    Args:
        mine: epochs that the strategy needed to reach it in each repeat; None where it did not.
        theirs: epochs that the baseline needed; a repeat without is left out.
    """
    ratios = [
        0.0 if needed is None else base / needed for needed, base in zip(mine, theirs, strict=True) if base is not None
    ]
    if not ratios:
        return SpeedUp(None, None, None, 0, 0)
    reached = sum(ratio > 0 for ratio in ratios)
    middle = float(np.median(ratios)) if 2 * reached > len(ratios) else None
    if len(ratios) < 2:
        return SpeedUp(middle, nan, nan, reached, len(ratios))
    drawn = np.asarray(ratios)[np.random.default_rng(0).integers(len(ratios), size=(_RESAMPLES, len(ratios)))]
    # Of two middle ones the outer is taken: a mean of reached and not reached would be neither.
    low = np.quantile(np.quantile(drawn, 0.5, axis=1, method="lower"), (1 - CONFIDENCE) / 2, method="lower")
    high = np.quantile(np.quantile(drawn, 0.5, axis=1, method="higher"), (1 + CONFIDENCE) / 2, method="higher")
    return SpeedUp(middle, float(low) or None, float(high) or None, reached, len(ratios))
