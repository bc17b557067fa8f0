"""Randomness derived from (study seed, trial number, purpose), never carried along in a generator's hidden state.

So a Search rebuilt from the store draws what the lost one would have drawn.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["Key", "coin_for", "explores", "generator_for", "key_with_coin", "trial_seed"]

Key = tuple[float, float, int]
"""What a trial is ranked by where a coin settles ties: its loss, the coin, its number."""

_PURPOSES = {
    "propose": 0, "train": 1, "tie": 2, "order": 3, "exploit": 4, "explore": 5, "restart": 6, "avoid": 7,
    "avoid anyway": 8,
}  # fmt: skip


def generator_for(seed: int, trial: int, purpose: str) -> np.random.Generator:
    """A fresh generator; equal arguments give equal draws, different ones independent streams (NumPy SeedSequence)."""
    return np.random.default_rng([seed, trial, _PURPOSES[purpose]])


def explores(seed: int, trial: int, fraction: float) -> bool:
    """Whether a trial is one of the `fraction` that are random whatever a sampler has learned.

    The coin is no draw of the proposal's, so that these trials are those of random search.
    """
    return float(generator_for(seed, trial, "explore").random()) < fraction


def trial_seed(seed: int, trial: int) -> int:
    """The seed of a trial's training: initial weights, dropout, the order of examples. 31 bits, as TensorFlow wants."""
    return int(generator_for(seed, trial, "train").integers(2**31 - 1))


@lru_cache(maxsize=100_000)  # a trial is looked at several times at every rung, and a generator costs 20 µs
def coin_for(seed: int, trial: int) -> float:
    """A number in [0, 1) that settles ties between equal values without favour for early or late trials."""
    return float(generator_for(seed, trial, "tie").random())


def key_with_coin(loss: float, seed: int, trial: int) -> Key:
    """What a trial is ranked by where neither the earlier nor the later of equal ones may always win.

    Args:
        loss: its value, signed so that smaller is better.
        seed: the study's.
        trial: its number.
    """
    return loss, coin_for(seed, trial), trial
