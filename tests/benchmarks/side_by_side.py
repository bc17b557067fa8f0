"""Runs contenders side by side: each in its own process, in turn within a repeat, and ratios within a repeat.

A machine that slows down slows all of them. Nobody wins by training less: where the work is fixed, every run must have
done the same number of trainings and epochs, and the best value that each one saw is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.contenders import CONTENDERS, Trained
from tests.benchmarks.peers import NoPeersError, peers_python
from tests.benchmarks.results import Result, Section, table_lines
from tests.benchmarks.workloads import WORKLOADS, Workload

__all__ = ["compare"]

_ROOT = Path(__file__).parents[2]
_RUN_SECONDS = 3600
_ENDING_SECONDS = 60
_UNSET = ("BANDSTAND_DATABASE_URL", "BANDSTAND_CHECKPOINTS", "RAY_ADDRESS")


class _NotMeasuredError(RuntimeError):
    """A contender did not do its work; the message is one line."""


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
            except (_NotMeasuredError, NoPeersError) as error:
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
    # Ray's sockets need a short path. What is slow to end may still write while the folder is removed.
    short = "/tmp" if Path("/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=short, ignore_cleanup_errors=True) as home:
        file, log = Path(home) / "trained.json", Path(home) / "log"
        environment = {key: value for key, value in os.environ.items() if key not in _UNSET}
        environment |= {"BANDSTAND_HOME": home, "TMPDIR": home, "RAY_TMPDIR": home, "PYTHONPATH": str(_ROOT)}
        # Ray gives its workers a low priority, which would slow them alone where the machine has other work too.
        environment["RAY_worker_niceness"] = "0"
        _run_process(
            [str(python), "-m", "tests.benchmarks.contenders", name, workload.name, str(file)], environment, log
        )
        if not file.is_file():
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise _NotMeasuredError(lines[-1])
        return Trained(**json.loads(file.read_text()))


def _run_process(command: list[str], environment: dict[str, str], log: Path) -> None:
    """Run it to its end. Where that takes too long, or this process is interrupted, all that it started ends too."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        process.wait(timeout=_RUN_SECONDS)
    except subprocess.TimeoutExpired:
        raise _NotMeasuredError(f"it did not end within {_RUN_SECONDS} s") from None
    finally:
        for number in (signal.SIGINT, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_ENDING_SECONDS)


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
