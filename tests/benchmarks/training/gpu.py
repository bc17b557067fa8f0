"""Keras on JAX on one GPU: trials an hour by `fit`, compiled epochs, several processes, several trials at once.

All trials of a table have one architecture and differ in learning rate, momentum and dropout, as those of a study do
that looks for rates. Each way of training is a row: so many processes that share the card, each with so many trials at
once (`resources.trials_at_once`). What trains is a trainer's inside, `LoadedStudy.run`, with threads in place of
Ray's and a link that grants everything; `fit` is bare Keras, as one would call it. Time counts from when all processes
have their imports and data, and have trained a first trial, until the last trial's end. What the first trial took,
where the program is compiled that the others borrow, has a column of its own; `fit` compiles each trial's anew.

Where JAX has no GPU it measures what there is, and says so. BANDSTAND_BENCHMARK_TRIALS sets how many trials a row has.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.measuring.own_process import NotMeasuredError
from tests.benchmarks.measuring.results import Section
from tests.benchmarks.measuring.workloads import WORKLOADS

__all__ = ["main"]

_ROOT = Path(__file__).parents[3]
_SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Table:
    """Trials of one architecture of a workload."""

    workload: str
    fixed: dict[str, Any]
    trials: int
    batch_size: int


TABLES = (
    Table(workload="digits", fixed={"units": 64, "layers": 2}, trials=192, batch_size=32),
    Table(workload="mnist_mlp", fixed={"units": 128, "layers": 2, "activation": "relu"}, trials=64, batch_size=128),
    Table(
        workload="mnist_lenet",
        fixed={"filters": 8, "kernel_size": 5, "activation": "relu", "dense_units": 128},
        trials=64,
        batch_size=128,
    ),
)
ROWS = (
    ("fit", 1, 1),
    ("fit", 4, 1),
    ("compiled", 1, 1),
    ("compiled", 4, 1),
    ("compiled", 1, 16),
    ("compiled", 1, 64),
    ("compiled", 4, 16),
)
"""How, processes, trials at once in each."""
_TRIALS_BY_FIT = 4
"""Of the trials, so many are trained by `fit` in each process."""
_WARM_UP = 1_000_000
"""Number of the trial before those that are measured."""


def main(repeats: int, peers: bool) -> Section:
    """Return a table for each workload."""
    lines: list[str] = []
    for table in TABLES:
        lines += ["", *_lines(table, repeats)]
    return Section(title=f"Keras on JAX, {_device_in_words()}", lines=lines[1:])


def _lines(table: Table, repeats: int) -> list[str]:
    workload = WORKLOADS[table.workload]
    columns = ("trained by", "processes", "trials at once in each", "trials an hour", "least", "most",
               "ms an epoch of a trial", "first trial, s", "times fit", "GPU busy",
               f"best {workload.metric}")  # fmt: skip
    lines = [
        f"{table.workload}, {workload.epochs} epochs a trial, batches of {table.batch_size}:",
        "",
        f"| {' | '.join(columns)} |",
        "| --- " * len(columns) + "|",
    ]
    found: dict[tuple[str, int, int], list[dict[str, float]]] = {row: [] for row in ROWS}
    for _ in range(repeats):
        for row in ROWS:
            try:
                found[row].append(_measure(table, *row))
            except NotMeasuredError as error:
                print(f"  {table.workload}, {row}: not measured: {error}", flush=True)
            else:
                print(f"  {table.workload}, {row}: {found[row][-1]}", flush=True)
    fit_rates = [one["rate"] for one in found[ROWS[0]]]
    for row, measured in found.items():
        if not measured:
            continue
        rates = [one["rate"] for one in measured]
        rate = statistics.median(rates)
        ratio = rate / statistics.median(fit_rates) if fit_rates else float("nan")
        busy = statistics.median(one["busy"] for one in measured)
        cells = (*row, f"{rate:,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}",
                 f"{3.6e6 / rate / workload.epochs:.2f}", f"{statistics.median(one['first'] for one in measured):.1f}",
                 f"{ratio:.1f}", "" if np.isnan(busy) else f"{busy:.0%}",
                 f"{measured[0]['best']:.4f}")  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _measure(table: Table, how: str, processes: int, at_once: int) -> dict[str, float]:
    """Trials an hour, seconds, the card's busy share and the best value of one row."""
    trials = int(os.environ.get("BANDSTAND_BENCHMARK_TRIALS", table.trials))
    numbers = list(range(trials if how == "compiled" else min(trials, _TRIALS_BY_FIT * processes)))
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(map(str, [_ROOT, *sys.path]))}
    environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.8 / processes:.3f}"  # as trainers do that share a card
    workers = []
    try:
        for index in range(processes):
            order = {
                "workload": table.workload, "fixed": table.fixed, "batch_size": table.batch_size, "how": how,
                "at_once": at_once, "numbers": numbers[index::processes],
            }  # fmt: skip
            command = [sys.executable, "-m", "tests.benchmarks.training.gpu", json.dumps(order)]
            workers.append(
                subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
        firsts = [json.loads(_line_of(worker)) for worker in workers]
        with _busy_share() as busy:
            began = time.monotonic()
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
            answers = [json.loads(_line_of(worker)) for worker in workers]
            seconds = time.monotonic() - began
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    values = [value for answer in answers for value in answer]
    best = WORKLOADS[table.workload].best(values)
    return {
        "rate": 3600 * len(numbers) / seconds,
        "seconds": seconds,
        "first": max(firsts),
        "busy": busy[0],
        "best": best,
    }


def _line_of(worker: subprocess.Popen[str]) -> str:
    """The next line of a worker that is meant for this process."""
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("> "):
            return line[2:]
    raise NotMeasuredError("a process died; what it said is above")


@contextlib.contextmanager
def _busy_share() -> Iterator[list[float]]:
    """The share of time in which the card ran anything, as its driver says; NaN where there is none."""
    share = [float("nan")]
    try:
        import pynvml

        pynvml.nvmlInit()
        card = pynvml.nvmlDeviceGetHandleByIndex(0)
    except Exception:  # noqa: BLE001  # no card, no driver, no package: nothing to say
        yield share
        return
    samples: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            samples.append(pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield share
    finally:
        over.set()
        thread.join()
        share[0] = statistics.mean(samples) if samples else float("nan")


def _device_in_words() -> str:
    code = "import jax; print('> ' + jax.__version__ + ' on ' + jax.devices()[0].device_kind)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    words = next((line[2:] for line in done.stdout.splitlines() if line.startswith("> ")), "no device")
    return f"JAX {words}"


# -- in a process that trains ------------------------------------------------------------------------------------------


def _params(order: dict[str, Any], number: int) -> dict[str, Any]:
    rng = np.random.default_rng([11, number])
    drawn = {
        "learning_rate": float(10 ** rng.uniform(-2.5, -0.8)),
        "momentum": float(rng.uniform(0.5, 0.95)),
        "dropout": float(rng.uniform(0.1, 0.4)),
    }
    return {"optimizer": "sgd", "nesterov": False} | order["fixed"] | drawn


def _work(order: dict[str, Any]) -> None:
    """Get ready, wait for the word, train, and say the best value of each trial."""
    import jax

    jax.numpy.zeros(1).block_until_ready()  # the card is this process's too
    if order["how"] == "fit":
        train = functools.partial(_fit, order, WORKLOADS[order["workload"]].load_data())
    else:
        train = functools.partial(_run, order, _training(order))
    began = time.monotonic()
    train(_WARM_UP)
    print(f"> {time.monotonic() - began}", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(order["at_once"]) as threads:
        values = list(threads.map(train, order["numbers"]))
    print(f"> {json.dumps(values)}", flush=True)


def _fit(order: dict[str, Any], data: Any, number: int) -> float:
    import keras

    workload = WORKLOADS[order["workload"]]
    keras.utils.set_random_seed(number)
    model = workload.build_model(_params(order, number))
    history = model.fit(
        *data["train"],
        validation_data=data["validation"],
        batch_size=order["batch_size"],
        epochs=workload.epochs,
        verbose=0,
    )
    return float(workload.best(history.history[workload.metric]))


def _training(order: dict[str, Any]) -> Any:
    from bandstand.study.study_spec import StudySpec
    from bandstand_workers.training.loaded_study import LoadedStudy

    workload = WORKLOADS[order["workload"]]
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": workload.name,
                "model": workload.model,
                "data": workload.data,
                "space": {"learning_rate": {"type": "float", "low": 0.001, "high": 1.0}},
                "objective": {"metric": workload.metric, "direction": workload.direction},
                "sampler": "random",
                "pruner": "none",
                "max_epochs": workload.epochs,
                "batch_size": order["batch_size"],
                "budget": {"trials": 1_000},
                "resources": {"trials_at_once": order["at_once"]},
            }
        )
    )


class _Link:
    """Grants every epoch, and keeps what was reported."""

    def __init__(self, epochs: int, metric: str):
        self._epochs, self._metric = epochs, metric
        self.values: list[float] = []

    def report(self, measurement: Any, *, wait: bool) -> Any:
        from bandstand.search.protocol import Verdict
        from bandstand.trials.events import Action

        self.values.append(measurement.metrics[self._metric])
        over = measurement.epoch == self._epochs
        return Verdict(action=Action.STOP if over else Action.CONTINUE, until_epoch=self._epochs)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        """Nothing is resumed here."""


def _run(order: dict[str, Any], training: Any, number: int) -> float:
    from bandstand.search.protocol import Assignment

    workload = WORKLOADS[order["workload"]]
    link = _Link(workload.epochs, workload.metric)
    assignment = Assignment(
        trial=number, attempt=1, params=_params(order, number), seed=number, from_epoch=0, until_epoch=workload.epochs
    )
    outcome = training.run(assignment, link, folder=tempfile.gettempdir(), resume_uri=None)
    assert outcome.failure is None, outcome.failure
    assert not outcome.reason_for_fit, outcome.reason_for_fit
    return float(workload.best(link.values))


if __name__ == "__main__":
    _work(json.loads(sys.argv[1]))
