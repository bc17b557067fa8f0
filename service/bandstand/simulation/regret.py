"""How far a search stayed from the best of a recorded problem, on a scale that problems share.

Knows pools and arithmetic. Must not know how a search was run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.stats import rankdata

__all__ = ["Pool", "PoolSource", "Rank", "Regret", "mean_ranks", "mean_regret", "normalized_regret", "pool_of"]

POOL_SIZE = 1_000
_POOL_SEED = 12_345
_RESAMPLES = 4_000


class PoolSource(Protocol):
    """Recorded curves that can be asked for many at once."""

    def pool(self, size: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Losses (smaller is better) and seconds of a pool of settings: a row for each, a column for each epoch."""
        ...


class Pool(NamedTuple):
    """What a recorded problem has to offer. A setting's loss is its best epoch's."""

    best: float
    median: float
    full_seconds: float
    """Median duration of a whole training on a worker of speed 1."""


class Regret(NamedTuple):
    """Mean normalized regret of a strategy over problems and seeds, and how it compares with another's."""

    mean: float
    difference: float
    """To the other strategy on the same problems and seeds; below 0, this one is better."""
    low: float
    high: float
    """A 95 % bootstrap interval of the difference."""


class Rank(NamedTuple):
    """Where a strategy stands among others, 1 for the best; equal ones share the mean of their places."""

    mean: float
    worst: float
    """On the problem where it stands last."""


def pool_of(source: PoolSource, size: int = POOL_SIZE, seed: int = _POOL_SEED) -> Pool:
    """The pool of a problem: `size` random settings, or all that were recorded. A setting that diverged is worst."""
    losses, seconds = source.pool(size, seed)
    best = np.where(np.isfinite(losses), losses, np.inf).min(axis=1)
    return Pool(float(best.min()), float(np.median(best)), float(np.median(seconds.sum(axis=1))))


def normalized_regret(loss: float, pool: Pool) -> float:
    """0 for the best of the pool, 1 for its median; 1 too for a search that has no value.

    Not clipped: a search over a continuous space may find better than the pool's best, which is below 0.
    """
    return (loss - pool.best) / (pool.median - pool.best) if isfinite(loss) else 1.0


def mean_regret(mine: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]], seed: int = 0) -> Regret:
    """Compare two strategies.

    The bootstrap draws problems first, then seeds within each, since seeds of one problem are alike (a hierarchical
    bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997).

    Args:
        mine: problem -> regret for each seed.
        other: the same problems and seeds.
        seed: of the resampling.
    """
    differences = [np.subtract(mine[problem], other[problem]) for problem in mine]
    rng = np.random.default_rng(seed)
    means = np.empty(_RESAMPLES)
    for index in range(_RESAMPLES):
        drawn = rng.integers(len(differences), size=len(differences))
        means[index] = np.mean(
            [rng.choice(differences[problem], len(differences[problem])).mean() for problem in drawn]
        )
    low, high = np.quantile(means, [0.025, 0.975])
    mean = float(np.mean([np.mean(regrets) for regrets in mine.values()]))
    return Regret(mean, float(np.mean([each.mean() for each in differences])), float(low), float(high))


def mean_ranks(found: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, Rank]:
    """Each strategy's rank by its mean regret on a problem, over the problems.

    Unlike means it lets no problem count more than one whose regrets are smaller (Demsar, Statistical Comparisons of
    Classifiers over Multiple Data Sets, JMLR 7, 2006). It depends on what else is compared.

    Args:
        found: strategy -> problem -> regret for each seed; the same problems for all.
    """
    problems = next(iter(found.values()))
    means = np.array([[np.mean(regrets[problem]) for problem in problems] for regrets in found.values()])
    ranks = rankdata(means.round(12), axis=0)  # two that are equal but for the order of a sum are equal
    return {name: Rank(float(row.mean()), float(row.max())) for name, row in zip(found, ranks, strict=True)}
