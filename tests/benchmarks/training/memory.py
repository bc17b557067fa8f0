"""Resident memory: of the coordinator and a trainer in a real study, and of one process over very many trials.

A trainer is compared with a bare process that imports Keras, loads the same data and trains one model by `fit`.
Resident sets count pages of shared libraries in each process. Aims: at most 300 MB for the coordinator, and for a
trainer at most 100 MB beyond bare Keras.

The curve shows whether memory stays bounded: trials of one epoch, drawn at random from digits_mlp's space, one after
the other by `LoadedStudy.run` in one process, by compiled epochs and by `fit`. Beside the resident set it names what
could pile up: kept programs, TensorFlow's functions, living Keras models.
BANDSTAND_BENCHMARK_TRIALS sets how many trials (1,000); `fit` gets a fifth of them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from bandstand.locations import bandstand_home
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.strategies.randomness import trial_seed
from bandstand.strategies.samplers.random_search import RandomSampler
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import StudySpec
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

AIMS = {"coordinator": 300, "trainer beyond bare Keras": 100}
"""Megabytes (10^6 bytes)."""
_TRIALS = int(os.environ.get("BANDSTAND_BENCHMARK_TRIALS", "1000"))
_POINTS = 10
_SAMPLE_SECONDS = 0.2


def main(repeats: int, peers: bool) -> Section:
    """Return the resident sets, and the curves of one run each."""
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, megabytes in {"bare Keras": run_cell(bare_megabytes), **run_cell(megabytes_in_a_study)}.items():
            found.setdefault(name, []).append(megabytes)
    medians = {name: statistics.median(values) for name, values in found.items()}
    medians["trainer beyond bare Keras"] = medians["trainer"] - medians["bare Keras"]
    lines = ["| process | MB | aim | reached |", "| --- | --- | --- | --- |"]
    for name, megabytes in medians.items():
        aim = AIMS.get(name)
        reached = "" if aim is None else "yes" if megabytes <= aim else "no"
        lines.append(f"| {name} | {megabytes:.0f} | {aim or ''} | {reached} |")
    for trainer, trials in (("compiled", _TRIALS), ("fit", max(_POINTS, _TRIALS // 5))):
        columns = ("trials", "MB", "programs kept", "TensorFlow's functions", "custom gradients", "living models")
        lines += ["", f"{trials} trials in one process, trainer `{trainer}`:", ""]
        lines += [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
        lines += [f"| {' | '.join(map(str, point))} |" for point in run_cell(curve, trainer, trials)]
    return Section(title="Resident memory", lines=lines)


def _megabytes(process: psutil.Process | None = None) -> int:
    return round((process or psutil.Process()).memory_info().rss / 1e6)


# -- processes of a study ---------------------------------------------------------------------------------------------


def bare_megabytes() -> int:
    """A process with Keras, the data, and one model that was trained."""
    _use_one_thread()
    from bandstand_workers.datasets import digits
    from bandstand_workers.models import digits_mlp

    data = digits.load()
    params = _params(1)[0]
    digits_mlp.build(params).fit(*data["train"], validation_data=data["validation"], epochs=9, verbose=0)
    return _megabytes()


def megabytes_in_a_study() -> dict[str, int]:
    """The most that the coordinator and any trainer had in the built-in digits study."""
    command = [str(Path(sys.executable).with_name("bandstand")), "run", "digits_mlp", "--workers", "1"]
    most = {"coordinator": 0, "trainer": 0}
    with subprocess.Popen(command, cwd=bandstand_home()) as running:
        while running.poll() is None:
            time.sleep(_SAMPLE_SECONDS)
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    role = _role_of(process)
                    if role:
                        most[role] = max(most[role], _megabytes(process))
    assert running.returncode == 0
    return most


def _role_of(process: psutil.Process) -> str:
    """Ray names a process after the actor that it holds, and after the method that runs."""
    title = " ".join(process.cmdline())
    return next((role for role in ("coordinator", "trainer") if title.startswith(f"ray::{role.capitalize()}")), "")


# -- very many trials -------------------------------------------------------------------------------------------------


class _NullLink:
    """Grants everything, as a coordinator that keeps no model."""

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict | None:
        from bandstand.trials.events import Action

        return Verdict(action=Action.STOP, until_epoch=measurement.epoch)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        raise AssertionError(error or uri)


def curve(trainer: str, trials: int) -> list[list[int]]:
    """A point for each row of the table, ten times on the way."""
    _use_one_thread()
    from bandstand_workers.training.loaded_study import LoadedStudy

    spec = _spec(trainer=trainer)
    training = LoadedStudy(spec)
    gc.collect()
    gc.freeze()  # as a trainer does
    points = [[0, _megabytes(), *_what_is_kept(training)]]
    for number, params in enumerate(_params(trials)):
        assignment = Assignment(
            trial=number, attempt=1, params=params, seed=trial_seed(1, number), from_epoch=0, until_epoch=1
        )
        outcome = training.run(assignment, _NullLink(), folder=str(bandstand_home()), resume_uri=None)
        assert outcome.failure is None, outcome.failure
        if (number + 1) % (trials // _POINTS) == 0:
            points.append([number + 1, _megabytes(), *_what_is_kept(training)])
            print(points[-1], flush=True)
    return points


def _what_is_kept(training: Any) -> list[int]:
    """Programs, TensorFlow's functions, its custom gradients, Keras models that live.

    A custom gradient that a graph uses enters a registry of TensorFlow's, which holds the graph for good.
    """
    import keras
    from tensorflow.python.eager import context
    from tensorflow.python.framework import ops

    gc.collect()  # it would come by itself soon after
    gradients = sum(name.startswith("CustomGradient") for name in ops.gradient_registry.list())
    models = sum(isinstance(thing, keras.Model) for thing in gc.get_objects())
    return [training.programs, len(context.context().list_function_names()), gradients, models]


def _params(trials: int) -> list[dict[str, Any]]:
    spec = _spec()
    sampler = RandomSampler(spec.space, spec.seed)
    return [dict(sampler.propose(number)) for number in range(trials)]


def _spec(**settings: Any) -> StudySpec:
    base = find_study("digits_mlp").spec.model_dump(mode="json", exclude_none=True)
    return StudySpec.model_validate(base | {"max_epochs": 1, "budget": {"trials": 1_000_000}} | settings)


def _use_one_thread() -> None:
    """As a trainer with one CPU."""
    from tests.benchmarks.contenders.processes import set_up_process

    set_up_process(os.cpu_count() or 1)
