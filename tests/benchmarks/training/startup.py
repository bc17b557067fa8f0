"""From `bandstand run` to the first epoch recorded, beyond what importing TensorFlow and Keras takes anyway.

The command is run as a user runs it, on digits_mlp with a few epochs, in a home that is empty (PostgreSQL's files and
all tables are made) and again in the same home. Its phases are told apart by its own output and by the times in the
database's rows, all by one clock. Beside it, what single steps take by themselves, in processes of their own. Aim: at
most 3 s beyond the bare imports.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bandstand.locations import bandstand_home
from bandstand.store.store import Store
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import study_spec_from
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

AIM = 3.0
PHASES = ("command and database", "Ray and trainers", "coordinator", "first trial given out", "first epoch stored")
STEPS = {
    "a bare process imports TensorFlow and Keras": "import tensorflow, keras",
    "a process imports all that a trainer does": "import ray, bandstand_workers.training.loaded_study",
    "the command imports what it needs": (
        "import bandstand.commands.cli, bandstand.running.run, bandstand.running.live_display, bandstand.store.store"
    ),
    "the workers' process imports what it needs": (
        "import ray, bandstand_workers.running.runner, bandstand_workers.coordinator.coordinator, "
        "bandstand_workers.fleet.trainer"
    ),
    "Ray starts and stops": (
        "from bandstand_workers.fleet.ray_connection import connect_ray, protect_local_ray\n"
        "from bandstand.study.study_spec import Resources\n"
        "protect_local_ray(); connect_ray(Resources(), 1)\nimport ray; ray.shutdown()"
    ),
    "PostgreSQL starts in an empty home, and tables are made": (
        "from bandstand.store.store import Store; Store.open().close()"
    ),
}
CASES = {"empty home, 1 worker": 1, "same home, 1 worker": 1, "same home, workers left out": 0}
"""The runs of one home, in this order; 0: as many workers as there are cores."""


def main(repeats: int, peers: bool) -> Section:
    """Return seconds of each phase, and of single steps."""
    steps: dict[str, list[float]] = {step: [] for step in STEPS}
    runs: dict[str, list[list[float]]] = {case: [] for case in CASES}
    for _ in range(repeats):
        for step, code in STEPS.items():
            steps[step].append(run_cell(seconds_of_a_process, code))
        for case, phases in run_cell(phases_of_runs, list(CASES.values())):
            runs[list(CASES)[case]].append(phases)
    bare = statistics.median(steps[next(iter(STEPS))])
    lines = [f"| run | {' | '.join(PHASES)} | in all | beyond imports | aim | reached |", "| --- " * 10 + "|"]
    lines += [_line(case, phases, bare) for case, phases in runs.items()]
    lines += ["", "Single steps, each in a process of its own, the process's own start included:", ""]
    lines += [f"* {step}: {statistics.median(seconds):.1f} s" for step, seconds in steps.items()]
    return Section(title="From `bandstand run` to the first epoch, seconds", lines=lines)


def _line(case: str, phases: list[list[float]], bare: float) -> str:
    medians = [statistics.median(seconds) for seconds in zip(*phases, strict=True)]
    whole = statistics.median(sum(seconds) for seconds in phases)
    cells = [*(f"{seconds:.1f}" for seconds in medians), f"{whole:.1f}", f"{whole - bare:.1f}", f"{AIM:.0f}"]
    return f"| {case} | {' | '.join(cells)} | {'yes' if whole - bare <= AIM else 'no'} |"


def seconds_of_a_process(code: str) -> float:
    """A process that runs this; its end, which can take a while with Ray, is not counted."""
    began = time.time()
    command = [sys.executable, "-c", f"{code}\nimport os, time; print(time.time(), flush=True); os._exit(0)"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(shown.split()[-1]) - began


def phases_of_runs(workers: list[int]) -> list[tuple[int, list[float]]]:
    """Studies one after the other in this home; (number of the case, seconds of each phase)."""
    return [(case, _phases(f"startup-{case}", number)) for case, number in enumerate(workers)]


def _phases(name: str, workers: int) -> list[float]:
    from bandstand_spaces.toml_writer import make_toml

    settings = find_study("digits_mlp").spec.model_dump(mode="json", exclude_none=True)
    settings |= {"name": name, "max_epochs": 3, "budget": {"epochs": 6}}
    spec = study_spec_from(settings, "benchmark")
    file = bandstand_home() / "study.toml"
    file.write_text(make_toml(spec.model_dump(mode="json", exclude_none=True)))
    command = [str(Path(sys.executable).with_name("bandstand")), "run", str(file)]
    began = time.time()
    told_at = _times_of_lines([*command, "--workers", str(workers)] if workers else command)
    store = Store.open()
    record = store.record(name)
    store.close()
    times = [
        began,
        next(at for line, at in told_at if "starting Ray" in line),
        next(at for line, at in told_at if "running on" in line),
        record.created_at.timestamp(),
        record.attempts["started_at"].min().timestamp(),
        record.measurements["created_at"].min().timestamp(),
    ]
    return [end - start for start, end in itertools.pairwise(times)]


def _times_of_lines(command: list[str]) -> list[tuple[str, float]]:
    """What a command prints, and when."""
    told_at: list[tuple[str, float]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told_at.extend((line, time.time()) for line in process.stdout)
    assert process.returncode == 0, told_at
    return told_at
