"""Successive halving: 200 random configurations of digits_mlp, rungs at 1, 3 and 9 of 27 epochs, a third goes on.

How many epochs that takes depends on the order in which results come in, and on each tuner's own rules: Optuna's Keras
callback counts epochs from 0, so that its rungs come one epoch later; KerasTuner has Hyperband only, which takes fewer
configurations through several brackets. So wall time is divided by the epochs trained. That does not ask which epochs
were worth training.
"""

from __future__ import annotations

from tests.benchmarks.measuring.results import Section
from tests.benchmarks.measuring.side_by_side import compare

__all__ = ["main"]

_AIMS = {"optuna": 10.0, "ray_tune": 10.0, "kerastuner": 10.0}


def main(repeats: int, peers: bool) -> Section:
    """Print each run; return a line for each peer, none without peers."""
    return compare("asha", _AIMS, repeats=repeats, peers=peers)
