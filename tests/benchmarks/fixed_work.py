"""The same configurations for the same epochs, by Bandstand, by its peers, and by nobody at all.

Aim: no peer is faster, nor is bare `fit`. The traced loop is the limit: how near Bandstand comes to it has no aim.
"""

from __future__ import annotations

from tests.benchmarks.results import Result
from tests.benchmarks.side_by_side import compare

__all__ = ["main"]

_AIMS = {"bare": 1.0, "traced_loop": None, "optuna": 1.0, "ray_tune": 1.0, "kerastuner": 1.0}


def main(workload: str, repeats: int, peers: bool) -> list[Result]:
    """Print each run; return a result for each contender."""
    return compare(workload, _AIMS, repeats=repeats, peers=peers)
