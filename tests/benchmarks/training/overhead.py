"""What a study costs on top of its trainings: 40 trials of 9 epochs against 40 bare `fit` calls.

Here Bandstand trains by `fit` too, whatever faster way it has, so that the difference is what scheduling, storing and
checkpoints cost. Aim: a study takes at most 1.10 times as long, a ratio of 0.91.
"""

from __future__ import annotations

from tests.benchmarks.measuring.results import Section
from tests.benchmarks.measuring.side_by_side import compare

__all__ = ["main"]


def main(repeats: int, peers: bool) -> Section:
    """Print each run; return the result."""
    return compare("overhead", {"bare": 1 / 1.10}, repeats=repeats, peers=peers, ours="bandstand_fit")
