"""The same configurations for the same epochs, by Bandstand, by its peers, and by nobody at all.

The traced loop is the limit of what keeps no programs: one function a model, and no tuner. Aim: to take at most 1.2
times as long, a ratio of 0.83, and less where programs serve again.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.benchmarks.measuring.results import Section
from tests.benchmarks.measuring.side_by_side import compare

__all__ = ["main"]

_LIMIT = {"traced_loop": 1 / 1.2}
_IMAGES = {"bare": 2.0, **_LIMIT, "optuna": 2.0, "ray_tune": 2.0, "kerastuner": 3.0}
_AIMS: Mapping[str, Mapping[str, float]] = {
    "digits": {"bare": 10.0, **_LIMIT, "optuna": 10.0, "ray_tune": 10.0, "kerastuner": 20.0},
    "california": {"bare": 8.0, **_LIMIT, "optuna": 8.0, "ray_tune": 8.0, "kerastuner": 8.0},
    "mnist_mlp": _IMAGES,
    "mnist_lenet": _IMAGES,
    "smoke": {"bare": 1.0, **_LIMIT, "optuna": 1.0, "ray_tune": 1.0, "kerastuner": 1.0},
}


def main(workload: str, repeats: int, peers: bool) -> Section:
    """Print each run; return a line for each contender."""
    return compare(workload, _AIMS[workload], repeats=repeats, peers=peers)
