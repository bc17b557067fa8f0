"""What learning from failures saves: studies whose space fails in part, simulated with `avoid_failures` and without.

Wasted epochs are those of trials that ran out of memory, diverged or were too slow, with the epochs in which they
failed. Both studies of a pair have the same seed, landscape, regions of failing and workers. Half of the problems are
made-up curves, each seed another landscape; half are tasks of LCBench, from the folder that BANDSTAND_DATA names.
A pair counts as worse where the study that avoids failures ends with a worse best value.

By itself: `python -m tests.benchmarks.failures [--seeds N] [--first-seed N] [--epochs N]`.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bandstand.simulation import VirtualCluster, compare, open_source
from bandstand.simulation.learning_curves.failing import FailingSource, regions_from
from bandstand.simulation.simulated_study import make_study
from bandstand.study.find_study import find_study
from bandstand.study.strategy_choices import strategies_from, with_and_without_avoiding
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

MADE_UP = ("digits_mlp", "mnist_mlp", "california_mlp")
LCBENCH = ("lcbench:3945", "lcbench:34539", "lcbench:126025")
STRATEGIES = ("random+asha", "umda+asha")
REGIONS = ("memory:0.3", "nan:0.2", "time:0.3", "memory:0.3,nan:0.2,time:0.2")
WORKERS = 8
EPOCHS = 2_000


class Pair(NamedTuple):
    """One study, simulated twice."""

    wasted: int
    wasted_without: int
    loss: float
    loss_without: float


def pairs(strategy: str, regions: str, problem: str, seeds: Sequence[int], epochs: int) -> Iterator[Pair]:
    """The studies of a strategy on a problem, one pair a seed."""
    recorded = problem.startswith("lcbench")
    source = FailingSource(open_source(problem if recorded else "analytic"), regions_from(regions))
    file = None if recorded else find_study(problem).spec
    study = make_study(file, source, workers=WORKERS, budget=[f"epochs={epochs}"], max_epochs=27)
    (choice,) = strategies_from([strategy])
    for seed in seeds:
        spec = study.spec.model_copy(update={"seed": seed})
        both = compare(spec, source, VirtualCluster(workers=WORKERS), with_and_without_avoiding(choice), repeats=1)
        mine, without = (entry.results[0] for entry in both.entries)
        sign = spec.objective.sign
        yield Pair(mine.failed_epochs, without.failed_epochs, sign * mine.best_value, sign * without.best_value)


def table(seeds: Sequence[int], epochs: int) -> list[str]:
    """A line for each strategy and kind of region."""
    problems = [*MADE_UP, *(LCBENCH if os.environ.get("BANDSTAND_DATA") else ())]
    header = (
        "strategy",
        "regions",
        "wasted without",
        "wasted with",
        "saved",
        "better, equal, worse",
        "median difference",
    )
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    for strategy in STRATEGIES:
        for regions in REGIONS:
            found = [pair for problem in problems for pair in pairs(strategy, regions, problem, seeds, epochs)]
            wasted, without = sum(pair.wasted for pair in found), sum(pair.wasted_without for pair in found)
            differences = [pair.loss - pair.loss_without for pair in found]
            better, worse = (sum(sign * each > 1e-9 for each in differences) for sign in (-1, 1))
            middle = statistics.median(differences)
            lines.append(
                f"| {strategy} | {regions} | {without:,} | {wasted:,} | {1 - wasted / max(1, without):.0%} | {better}, "
                f"{len(found) - better - worse}, {worse} | {middle:+.4f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main(repeats: int, peers: bool) -> Section:
    """The table for `repeats` seeds."""
    title = f"studies of {EPOCHS:,} epochs whose space fails in part, with avoid_failures and without"
    return Section(title=title, lines=table(range(repeats), EPOCHS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.failures")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    table(range(arguments.first_seed, arguments.first_seed + arguments.seeds), arguments.epochs)
