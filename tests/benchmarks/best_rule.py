"""Whose model should a study give: the best that was seen, or the best of the trials that trained in full?

Simulates studies over recorded curves that have test metrics (LCBench: balanced accuracy on test data, by the
surrogate; TaskSet: test loss) and looks at both choices' test metric, each at the epoch that was the trial's best on
validation data. By itself: `python -m tests.benchmarks.best_rule [--strategies LIST] [--seeds N] [--workers N]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bandstand.comparison.statistics import mean_interval
from bandstand.search.search import Search
from bandstand.simulation import VirtualCluster, open_source
from bandstand.simulation.learning_curves.lcbench import LCBenchSource
from bandstand.simulation.learning_curves.sources import data_files
from bandstand.simulation.learning_curves.taskset import TaskSetSource
from bandstand.simulation.loop import simulate
from bandstand.simulation.regret import pool_of
from bandstand.simulation.simulated_study import make_study
from bandstand.study.strategy_choices import strategies_from
from bandstand.trials.events import TrialState
from bandstand.trials.history import Trial
from tests.benchmarks.strategies import FULL_TRAININGS, LCBENCH, TASKSET

_TEST_BALANCED_ACCURACY = 5
"""Column of the surrogate's answer: time, then accuracy, cross-entropy and balanced accuracy on validation data, then
the latter two on test data."""


class Choice(NamedTuple):
    """One study's two answers."""

    task: str
    differ: bool
    validation_gain: float  # of the best seen over the best in full; above 0 is better
    test_gain: float


def _choices(task: str, strategy: str, seeds: Sequence[int], workers: int) -> list[Choice]:
    source = open_source(task)
    tested = _tester(task, source)
    budget = [f"wall_seconds={FULL_TRAININGS * pool_of(source).full_seconds}"]
    found = []
    for seed in seeds:
        spec = make_study(None, source, workers=workers, budget=budget, seed=seed).spec
        spec = strategies_from([strategy])[0].apply(spec)
        search = Search(spec)
        simulate(
            spec,
            source.curves(spec.space, spec.objective, spec.max_epochs, seed),
            VirtualCluster(workers=workers),
            search=search,
        )
        sign = spec.objective.sign
        trials = [trial for trial in search.history.trials if trial.best_epoch]
        full = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        if not full:
            continue
        seen, complete = (
            min(some, key=lambda trial: sign * trial.value_at(trial.best_epoch)) for some in (trials, full)
        )
        gains = [-sign * (of(seen) - of(complete)) for of in (lambda trial: trial.value_at(trial.best_epoch), tested)]
        found.append(Choice(task, seen is not complete, *gains))
    return found


def _tester(task: str, source: Any) -> Callable[[Trial], float]:
    """The test metric of a trial at its best epoch."""
    if isinstance(source, LCBenchSource):

        def balanced_accuracy(trial: Trial) -> float:
            answers = source.answers([trial.params])[0]
            return float(answers[trial.best_epoch - 1, _TEST_BALANCED_ACCURACY])

        return balanced_accuracy
    import json

    assert isinstance(source, TaskSetSource)
    records = json.loads((data_files("taskset") / f"{task.partition(':')[2]}.json").read_text())

    def loss(trial: Trial) -> float:
        return float(records[source.nearest(trial.params)]["test"]["loss"][trial.best_epoch])  # [0] is before training

    return loss


def _line(kind: str, strategy: str, found: Sequence[Choice]) -> str:
    differing = [choice for choice in found if choice.differ]
    cells = [kind, strategy, str(len(found)), str(len(differing))]
    for name in ("validation_gain", "test_gain"):
        # The mean over tasks and its interval: studies of one task are no independent evidence.
        by_task = [
            float(np.mean([getattr(choice, name) for choice in found if choice.task == task]))
            for task in dict.fromkeys(choice.task for choice in found)
        ]
        interval = mean_interval(by_task)
        cells.append(f"{interval.mean:+.5f} ({interval.low:+.5f} to {interval.high:+.5f})")
    better, worse = (sum(sign * choice.test_gain > 0 for choice in differing) for sign in (1, -1))
    return f"| {' | '.join([*cells, f'{better} / {worse}'])} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.best_rule")
    parser.add_argument("--strategies", default="umda+asha,random+asha:min_epochs=1,random+median,tpe+hyperband")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=8)
    chosen = parser.parse_args()
    print("| curves | strategy | studies | answers differ | on validation data | on test data | test better / worse |")
    print("| --- " * 7 + "|")
    for strategy in chosen.strategies.split(","):
        for kind, tasks in (("LCBench", LCBENCH), ("TaskSet", TASKSET)):
            found = [one for task in tasks for one in _choices(task, strategy, range(chosen.seeds), chosen.workers)]
            print(_line(kind, strategy, found), flush=True)


if __name__ == "__main__":
    main()
