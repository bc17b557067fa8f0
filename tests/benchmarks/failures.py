"""What learning from failures saves and costs: studies whose space fails in part, with `avoid_failures` and without.

Wasted epochs are those of trials that ran out of memory, diverged or were too slow, with the epochs in which they
failed. The studies of a pair have the same seed, landscape, regions of failing and workers. The third study of a seed
knows from the third failure of a kind on what fails in that way: nobody can save more than it does.

`memory`, `nan` and `time` are the regions of `bandstand simulate --failing`; `edge`, `random` and `one` are meant to
mislead, see `failing_landscapes`. Problems are made-up curves, each seed another landscape, and a task of LCBench from
the folder that BANDSTAND_DATA names.

A difference is one of final best values, in standard deviations of those without `avoid_failures` on the same problem;
above 0, avoiding is worse. The best region holds the best twentieth of the params that do not fail.

By itself: `python -m tests.benchmarks.failures [--seeds N] [--first-seed N] [--epochs N]`.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any, NamedTuple

from bandstand.search.search import Search
from bandstand.simulation import VirtualCluster, open_source, simulate
from bandstand.simulation.learning_curves.curves import CurveSource
from bandstand.simulation.learning_curves.failing import FailingSource, regions_from
from bandstand.simulation.simulated_study import make_study
from bandstand.strategies import PRUNERS, SAMPLERS
from bandstand.strategies.failures.avoidance import ENOUGH_FAILURES, FailureAvoidance
from bandstand.strategies.sample_and_prune import SampleAndPrune
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Ended, Event
from bandstand.trials.history import Trial
from tests.benchmarks.failing_landscapes import LANDSCAPES, FailingLandscape
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

MADE_UP = ("digits_mlp", "california_mlp")
LCBENCH = "lcbench:3945"
STRATEGIES = ("random+asha", "umda+asha")
REGIONS = ("memory:0.3", "nan:0.2", "time:0.3", *LANDSCAPES)
WORKERS = 8
EPOCHS = 600
MAX_EPOCHS = 27


class Found(NamedTuple):
    """One study."""

    wasted: int
    loss: float
    among_best: int


class Knowing(FailureAvoidance):
    """Knows what fails in a way, once three trials have."""

    def __init__(self, spec: StudySpec, landscape: FailingLandscape):
        super().__init__(spec)
        self._landscape = landscape
        self._ended: dict[str, int] = {}

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Counts failures by kind."""
        super().observe(event, trial)
        if isinstance(event, Ended):
            self._ended[event.reason] = self._ended.get(event.reason, 0) + 1

    def chance(self, params: Mapping[str, Any]) -> float:
        """1 or 0."""
        kind = self._landscape.kind_of(params)
        return float(kind is not None and self._ended.get(kind, 0) >= ENOUGH_FAILURES)

    def bears(self, number: int) -> float:
        """Nothing that fails."""
        return 0.5


def study(spec: StudySpec, landscape: FailingLandscape, avoidance: FailureAvoidance | None) -> Found:
    """One simulated study."""
    pruner = PRUNERS[spec.pruner].make(spec)
    strategy = SampleAndPrune(SAMPLERS[spec.sampler].make(spec, pruner.ask_epochs()), pruner, avoidance)
    search = Search(spec, strategy)
    result = simulate(spec, landscape, VirtualCluster(workers=WORKERS), search=search)
    among_best = sum(landscape.is_among_best(trial.params) for trial in search.history.trials)
    return Found(result.failed_epochs, spec.objective.sign * result.best_value, among_best)


def studies(strategy: str, regions: str, problem: str, seeds: Sequence[int], epochs: int) -> Iterator[list[Found]]:
    """For each seed the studies with `avoid_failures`, without, and of one that knows."""
    recorded = problem.startswith("lcbench")
    source: CurveSource = open_source(problem if recorded else "analytic")
    file = None if recorded else find_study(problem).spec
    made = make_study(file, source, workers=WORKERS, budget=[f"epochs={epochs}"], max_epochs=MAX_EPOCHS).spec
    sampler, pruner = strategy.split("+")
    if regions not in LANDSCAPES:
        source = FailingSource(source, regions_from(regions))
    for seed in seeds:
        spec = made.model_copy(update={"seed": seed, "sampler": sampler, "pruner": pruner})
        landscape = FailingLandscape(source, spec.space, spec.objective, MAX_EPOCHS, seed=seed)
        if regions in LANDSCAPES:
            landscape.lay(regions)
        lookers = FailureAvoidance(spec), None, Knowing(spec, landscape)
        yield [study(spec, landscape, each) for each in lookers]


def line(strategy: str, regions: str, problems: Sequence[str], seeds: Sequence[int], epochs: int) -> str:
    """Of the table."""
    found: list[list[Found]] = []
    differences: list[float] = []
    for problem in problems:
        here = list(studies(strategy, regions, problem, seeds, epochs))
        spread = statistics.pstdev(without.loss for _, without, _ in here) or 1.0
        differences += [(mine.loss - without.loss) / spread for mine, without, _ in here]
        found += here
    wasted = [sum(each[which].wasted for each in found) for which in range(3)]
    saved, possible = (1 - wasted[which] / max(1, wasted[1]) for which in (0, 2))
    better, worse = (sum(sign * each > 1e-9 for each in differences) for sign in (-1, 1))
    middle, doubt = statistics.mean(differences), 2 * statistics.stdev(differences) / sqrt(len(differences))
    among = [sum(each[which].among_best for each in found) for which in range(2)]
    none = sum(each[0].among_best == 0 for each in found), sum(each[1].among_best == 0 for each in found)
    cells = [
        strategy, regions, f"{wasted[1]:,}", f"{wasted[0]:,}", f"{saved:.0%}",
        "" if regions == "random" else f"{possible:.0%}", f"{better}, {len(found) - better - worse}, {worse}",
        f"{middle:+.2f} ± {doubt:.2f}", f"{among[0]:,}, {among[1]:,}", f"{none[0]}, {none[1]}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(seeds: Sequence[int], epochs: int) -> list[str]:
    """A line for each strategy and kind of region."""
    problems = [*MADE_UP, *([LCBENCH] if os.environ.get("BANDSTAND_DATA") else [])]
    header = (
        "strategy", "regions", "wasted without", "wasted with", "saved", "who knows would save",
        "better, equal, worse", "mean difference, two standard errors", "trials in the best region with, without",
        "studies without such a trial, with and without",
    )  # fmt: skip
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    for strategy in STRATEGIES:
        for regions in REGIONS:
            lines.append(line(strategy, regions, problems, seeds, epochs))
            print(lines[-1], flush=True)
    return lines


def main(repeats: int, peers: bool) -> Section:
    """The table for `repeats` seeds."""
    title = f"studies of {EPOCHS:,} epochs whose space fails in part, with avoid_failures and without"
    return Section(title=title, lines=table(range(repeats), EPOCHS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.failures")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    table(range(arguments.first_seed, arguments.first_seed + arguments.seeds), arguments.epochs)
