"""How good strategies are on recorded learning curves, in virtual time: mean normalized regret, 0 best and 1 median.

Tasks of LCBench (a surrogate) and of TaskSet (recordings), from the folder that BANDSTAND_DATA names. The budget is
virtual wall time: two median full trainings a worker. Regret is that of the best value measured, against a pool of
1,000 settings. In brackets: the mean difference to random search without a pruner on the same tasks and seeds, with a
95 % bootstrap interval over tasks and seeds; below 0 is better than random search. Ranks are among the strategies of
the table, by the mean regret on a task: the mean over tasks, the worst; and on how many tasks random search is better.

By itself: `python -m tests.benchmarks.strategies [--strategies LIST] [--tasks LIST] [--workers 8,32] [--seeds N]
[--first-seed N] [--by-task] [--keep FOLDER] [--processes N]`. What is measured is kept in the folder, a file for each
strategy, task, number of workers and seeds; what lies there already is not measured again, so that a table of days can
be made in hours at a time; empty the folder when a strategy has changed. Seeds that a strategy was tuned on say nothing
about it: give others.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bandstand.simulation import VirtualCluster, compare, open_source
from bandstand.simulation.learning_curves.curves import CurveSource
from bandstand.simulation.regret import POOL_SIZE, Pool, mean_ranks, mean_regret, normalized_regret, pool_of
from bandstand.simulation.simulated_study import make_study
from bandstand.study.strategy_choices import strategies_from
from tests.benchmarks.measuring.results import Section

__all__ = ["main", "strategies_table"]

LCBENCH = (
    "lcbench:3945",
    "lcbench:7593",
    "lcbench:34539",
    "lcbench:126025",
    "lcbench:126029",
    "lcbench:146212",
    "lcbench:167104",
    "lcbench:167168",
    "lcbench:167185",
    "lcbench:168331",
    "lcbench:168868",
    "lcbench:189909",
)
TASKSET = (
    "taskset:imdb_patch128_LSTM128_avg_bs64",
    "taskset:imdb_patch32_GRU64_avg_bs128",
    "taskset:imdb_patch32_IRNN64_relu_avg_bs128",
    "taskset:imdb_patch32_VRNN128_tanh_bs128",
)
TASKS = LCBENCH + TASKSET
STRATEGIES = (
    "umda+asha",
    "random+asha",
    "tpe+asha",
    "zoom+asha",
    "evolution+asha",
    "cmaes+asha",
    "random+asha-promote",
)
BASELINE = "random"
WORKERS = (8, 32)
FULL_TRAININGS = 2
PROCESSES = 2
KEPT = Path(tempfile.gettempdir()) / "bandstand-regrets"


def main(repeats: int, peers: bool) -> Section:
    """Every strategy, with `repeats` seeds."""
    lines = strategies_table(STRATEGIES, TASKS, WORKERS, range(repeats))
    return Section(title="Strategies on recorded learning curves, in virtual time", lines=lines)


def strategies_table(
    strategies: Sequence[str],
    tasks: Sequence[str],
    workers: Sequence[int],
    seeds: range,
    keep: Path = KEPT,
    processes: int = PROCESSES,
) -> list[str]:
    """Simulate and tabulate: a column for each kind of tasks and number of workers, two for ranks among all tasks."""
    names = _with_baseline(strategies)
    found = _measure(names, tasks, workers, seeds, keep, processes)
    kinds = list(dict.fromkeys(task.partition(":")[0] for task in tasks))
    header, columns = ["strategy"], [names]
    for count in workers:
        by_strategy = {name: {task: found[task, count][name] for task in tasks} for name in names}
        for kind in kinds:
            header.append(f"{kind}, {count} workers")
            columns.append(_regret_column(by_strategy, kind))
        header += [f"mean rank (worst), {count} workers", f"tasks with random better, {count} workers"]
        columns.append([f"{rank.mean:.1f} ({rank.worst:g})" for rank in mean_ranks(by_strategy).values()])
        columns.append([str(_worse_than_baseline(by_strategy, name)) for name in names])
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in zip(*columns, strict=True))]


def _regret_column(by_strategy: Mapping[str, Mapping[str, Sequence[float]]], kind: str) -> list[str]:
    def those(name: str) -> dict[str, Sequence[float]]:
        return {task: regrets for task, regrets in by_strategy[name].items() if task.startswith(kind)}

    cells = []
    for name in by_strategy:
        regret = mean_regret(those(name), those(BASELINE))
        against = f" ({regret.difference:+.3f}, {regret.low:+.3f} to {regret.high:+.3f})"
        cells.append(f"{regret.mean:.3f}{against if name != BASELINE else ''}")
    return cells


def _worse_than_baseline(by_strategy: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> int:
    """On how many tasks a strategy's mean regret is greater than that of random search."""
    base = by_strategy[BASELINE]
    return sum(statistics.mean(by_strategy[name][task]) > statistics.mean(base[task]) for task in base)


def by_task_table(
    strategies: Sequence[str],
    tasks: Sequence[str],
    workers: Sequence[int],
    seeds: range,
    keep: Path = KEPT,
    processes: int = PROCESSES,
) -> list[str]:
    """The same, a row for each task."""
    names = _with_baseline(strategies)
    found = _measure(names, tasks, workers, seeds, keep, processes)
    columns = list(product(workers, names))
    header = ["task", *(f"{name}, {count}" for count, name in columns)]
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for task in tasks:
        means = [f"{statistics.mean(found[task, count][name]):.3f}" for count, name in columns]
        lines.append(f"| {' | '.join([task, *means])} |")
    return lines


def _with_baseline(strategies: Sequence[str]) -> list[str]:
    return [BASELINE, *(name for name in strategies if name != BASELINE)]


def _measure(
    names: Sequence[str], tasks: Sequence[str], workers: Sequence[int], seeds: range, keep: Path, processes: int
) -> dict[tuple[str, int], dict[str, list[float]]]:
    """Regret for each seed, by (task, workers) and strategy."""
    cells = list(product(tasks, workers))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        measured = executor.map(regrets_on, *zip(*[(*cell, names, seeds, keep) for cell in cells], strict=True))
        return dict(zip(cells, measured, strict=True))


def regrets_on(task: str, workers: int, strategies: Sequence[str], seeds: range, keep: Path) -> dict[str, list[float]]:
    """Regret for each strategy and seed on one task."""
    source = open_source(task)
    return {name: _regrets_of(name, task, source, workers, seeds, keep) for name in strategies}


def _regrets_of(name: str, task: str, source: CurveSource, workers: int, seeds: range, keep: Path) -> list[float]:
    def measured() -> list[float]:
        pool = _pool(task, source, keep)
        budget = [f"wall_seconds={FULL_TRAININGS * pool.full_seconds}"]
        spec = make_study(None, source, workers=workers, budget=budget, seed=seeds.start).spec
        (entry,) = compare(
            spec, source, VirtualCluster(workers=workers), strategies_from([name]), repeats=len(seeds)
        ).entries
        sign = spec.objective.sign
        return [normalized_regret(sign * outcome.best_value, pool) for outcome in entry.results]

    file = f"{name}-{task.replace(':', '-')}-{workers}-{seeds.start}-{seeds.stop}.json"
    regrets: list[float] = _kept(keep / file, measured)
    return regrets


def _pool(task: str, source: CurveSource, keep: Path) -> Pool:
    return Pool(**_kept(keep / f"pool-{task.replace(':', '-')}-{POOL_SIZE}.json", lambda: pool_of(source)._asdict()))


def _kept(file: Path, measured: Callable[[], Any]) -> Any:
    if file.exists():
        return json.loads(file.read_text())
    value = measured()
    mine = file.with_suffix(f".{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text(json.dumps(value))
    mine.replace(file)  # another process may be writing the same
    return value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.strategies")
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help=f"with commas; {BASELINE} is always there")
    parser.add_argument("--tasks", default=",".join(TASKS), help="with commas")
    parser.add_argument("--workers", default=",".join(map(str, WORKERS)))
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=KEPT, help=f"folder; left out: {KEPT}")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--by-task", action="store_true", help="a row for each task, without intervals")
    chosen = parser.parse_args()
    table = by_task_table if chosen.by_task else strategies_table
    print(
        *table(
            chosen.strategies.split(","),
            chosen.tasks.split(","),
            [int(count) for count in chosen.workers.split(",")],
            range(chosen.first_seed, chosen.first_seed + chosen.seeds),
            chosen.keep,
            chosen.processes,
        ),
        sep="\n",
    )
