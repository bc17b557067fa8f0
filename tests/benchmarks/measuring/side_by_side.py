"""Runs contenders side by side: each in its own process, in turn within a repeat, and ratios within a repeat.

A machine that slows down slows all of them. Nobody wins by training less: where the work is fixed, every run must have
done the same number of trainings and epochs, and the best value that each one saw is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.contenders import CONTENDERS, Trained
from tests.benchmarks.measuring.own_process import NotMeasuredError, answer_of
from tests.benchmarks.measuring.results import Result, Section, table_lines
from tests.benchmarks.measuring.workloads import WORKLOADS, Workload
from tests.benchmarks.peers import NoPeersError, peers_python

__all__ = ["compare"]

_RUN_SECONDS = 3600


def compare(
    workload_name: str, aims: Mapping[str, float | None], *, repeats: int, peers: bool, ours: str = "bandstand"
) -> Section:
    """Measure Bandstand and others on a workload.

    Args:
        workload_name: what is trained.
        aims: contender -> the least ratio that is wanted; None for no aim.
        repeats: how often each of them runs.
        peers: whether those that need the peers' environment take part.
        ours: which contender is Bandstand.

    Returns:
        A line for each other contender that could be measured in every repeat.

    Raises:
        RuntimeError: Bandstand itself could not be measured.
        AssertionError: somebody trained less or more than was asked.
    """
    workload = WORKLOADS[workload_name]
    names = [ours, *(name for name in aims if peers or not CONTENDERS[name].is_peer)]
    runs: dict[str, list[Trained]] = {name: [] for name in names}
    print(f"\n{workload_name}: {workload}, {workload.processes} processes", flush=True)
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in [*names[first:], *names[:first]]:  # another one begins each time
            if len(runs[name]) < repeat:
                continue  # it could not be measured before
            try:
                trained = _run(name, workload)
            except (NotMeasuredError, NoPeersError) as error:
                if name == ours:
                    raise
                print(f"  {CONTENDERS[name].title:26} not measured: {error}", flush=True)
                continue
            _check(name, workload, trained)
            runs[name].append(trained)
    results = [
        _result(workload, CONTENDERS[name].title, runs[ours], runs[name], aims[name])
        for name in names[1:]
        if len(runs[name]) == repeats
    ]
    return Section(title=f"{workload}, {workload.processes} processes", lines=table_lines(results) if results else [])


def _run(name: str, workload: Workload) -> Trained:
    """One run of a contender, in a process and with a home of its own, which all that it leaves behind goes with."""
    contender = CONTENDERS[name]
    python = peers_python() if contender.is_peer else Path(sys.executable)

    def command_for(answer: Path) -> list[str]:
        return [str(python), "-m", "tests.benchmarks.contenders", name, workload.name, str(answer)]

    return Trained(**answer_of(command_for, _RUN_SECONDS))


def _check(name: str, workload: Workload, trained: Trained) -> None:
    """Print what was done; where the work is fixed, it must be all of it and no more."""
    whole = f" ({trained.whole_seconds:.1f} s the whole study)" if trained.whole_seconds else ""
    print(
        f"  {CONTENDERS[name].title:26} {trained.seconds:7.1f} s  {trained.trainings} trainings  {trained.epochs} "
        f"epochs  best {workload.metric} {trained.best_value:.4f}{whole}",
        flush=True,
    )
    if not workload.halving:
        wanted = len(workload.configurations)
        assert (trained.trainings, trained.epochs) == (wanted, wanted * workload.epochs), name


def _result(workload: Workload, against: str, ours: list[Trained], theirs: list[Trained], aim: float | None) -> Result:
    """Seconds where the work is fixed, milliseconds an epoch where everybody trains another number of them."""

    def time(trained: Trained, whole: bool = False) -> float:
        seconds = trained.whole_seconds if whole and trained.whole_seconds else trained.seconds
        return 1000 * seconds / trained.epochs if workload.halving else seconds

    return Result(
        what=workload.name,
        against=against,
        unit="ms/epoch" if workload.halving else "s",
        ours=tuple(time(trained) for trained in ours),
        theirs=tuple(time(trained) for trained in theirs),
        ours_whole=tuple(time(trained, whole=True) for trained in ours),
        aim=aim,
    )
