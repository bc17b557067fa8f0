"""Ray Tune: a function trainable on two reused actors, each epoch reported.

Ray's start is excluded by a meeting inside the trainable: the first time a process trains it imports TensorFlow, loads
the data, leaves a file and waits until all processes have left theirs. The clock starts at the last of these files.
What Tune did before (placing actors, its first bookkeeping) is therefore not counted, what it does after the last
training's end neither. Loggers and state files are Tune's defaults.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import Trained
from tests.benchmarks.contenders.processes import make_value_log, set_up_process
from tests.benchmarks.measuring.workloads import WORKLOADS, Workload

_MEETING_SECONDS = 120


def run(workload: Workload) -> Trained:
    """All trainings."""
    from bandstand_workers.fleet.ray_connection import protect_local_ray

    protect_local_ray()
    import ray

    cores = max(workload.processes, os.cpu_count() or 1)
    ray.init(
        address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="bandstand-bench-tune-") as folder:
            _tune(workload, Path(folder), cores // workload.processes)
            return _trained(workload, Path(folder))
    finally:
        ray.shutdown()


def _tune(workload: Workload, folder: Path, cpus: int) -> None:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    mode = {"maximize": "max", "minimize": "min"}[workload.direction]
    halving = ASHAScheduler(max_t=workload.epochs, grace_period=1, reduction_factor=3) if workload.halving else None
    space = {
        "workload": workload.name,
        "folder": str(folder),
        "number": tune.grid_search(list(range(len(workload.configurations)))),
    }
    tuner = tune.Tuner(
        tune.with_resources(train_trial, {"cpu": cpus}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric=workload.metric,
            mode=mode,
            scheduler=halving,
            max_concurrent_trials=workload.processes,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "results"), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors, results.errors[0]


def train_trial(config: dict[str, Any]) -> None:
    """One trial, as Tune calls it."""
    workload, folder = WORKLOADS[config["workload"]], Path(config["folder"])
    data = _set_up(workload.name, folder)
    import keras
    from ray import tune

    class Report(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            tune.report({workload.metric: float(logs[workload.metric])})

    keras.utils.set_random_seed(config["number"])
    params = workload.configurations[config["number"]]
    log = make_value_log(workload.metric)
    try:
        workload.build_model(params).fit(
            *data["train"],
            validation_data=data["validation"],
            batch_size=workload.batch_size_for(params),
            epochs=workload.epochs,
            callbacks=[log, Report()],
            verbose=0,
        )
    finally:  # a trial that the scheduler stops is left from within its report
        with (folder / f"{os.getpid()}.trainings").open("a") as file:
            file.write(json.dumps([time.monotonic(), log.values]) + "\n")


@cache
def _set_up(name: str, folder: Path) -> dict[str, Any]:
    """The data; once in each process, which then waits for the others."""
    workload = WORKLOADS[name]
    set_up_process(workload.processes)
    import keras  # noqa: F401  # so that it is loaded before the clock starts

    data = workload.load_data()
    (folder / f"{os.getpid()}.ready").write_text(str(time.monotonic()))
    deadline = time.monotonic() + _MEETING_SECONDS
    while len(list(folder.glob("*.ready"))) < workload.processes:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Ray Tune did not start {workload.processes} actors in {_MEETING_SECONDS} s")
        time.sleep(0.01)
    return data


def _trained(workload: Workload, folder: Path) -> Trained:
    lines = [line for file in folder.glob("*.trainings") for line in file.read_text().splitlines()]
    ended_at, values = zip(*(json.loads(line) for line in lines), strict=True)
    ready_at = sorted(float(file.read_text()) for file in folder.glob("*.ready"))
    assert len(ready_at) == workload.processes, "an actor was not reused"
    return Trained(
        seconds=max(ended_at) - ready_at[-1],
        trainings=len(values),
        epochs=sum(len(of_trial) for of_trial in values),
        best_value=workload.best([value for of_trial in values for value in of_trial]),
    )
