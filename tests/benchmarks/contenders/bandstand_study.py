"""Bandstand: the workload as a study, run as anybody runs one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import Trained
from tests.benchmarks.measuring.workloads import Workload

_ROOT = Path(__file__).parents[3]


def run(workload: Workload, **settings: Any) -> Trained:
    """The study; `settings` are further ones of it."""
    from bandstand.running.live_display import NoDisplay
    from bandstand.running.run import RunOptions, run_studies
    from bandstand.store.store import Store
    from bandstand.study.study_spec import study_spec_from

    class Stopwatch(NoDisplay):
        """Trainers are ready when a study is said to run, and all is done when it is said to have ended."""

        def running(self, name: str, workers: int) -> None:
            self.ready_at = time.monotonic()

        def ended(self, name: str) -> None:
            self.ended_at = time.monotonic()

    spec = study_spec_from(_settings(workload) | settings, "benchmark")
    store, display = Store.open(), Stopwatch()
    options = RunOptions(workers=workload.processes, code_path=[str(_ROOT)])
    outcomes = run_studies(store, [spec], options, display)
    assert outcomes[spec.name].state == "finished", outcomes
    record = store.record(spec.name)
    store.close()
    return Trained(
        seconds=(record.trials["ended_at"].max() - record.attempts["started_at"].min()).total_seconds(),
        trainings=int(record.trials["state"].isin(["complete", "pruned"]).sum()),
        epochs=len(record.measurements),
        best_value=workload.best(record.measurements["value"].tolist()),
        whole_seconds=display.ended_at - display.ready_at,
    )


def _settings(workload: Workload) -> dict[str, Any]:
    # Each trainer gets the threads that the other contenders' processes get.
    cpus = max(1, (os.cpu_count() or 1) // workload.processes)
    return {
        "name": f"benchmark-{workload.name}",
        "model": workload.model,
        "data": workload.data,
        "space": workload.space,
        "objective": {"metric": workload.metric, "direction": workload.direction},
        "sampler": workload.sampler,
        "pruner": "asha-promote" if workload.halving else "none",
        "pruner_options": {"min_epochs": 1, "reduction_factor": 3} if workload.halving else {},
        "max_epochs": workload.epochs,
        "batch_size": workload.batch_size,
        "budget": {"trials": workload.trials} if workload.trials else {},
        "resources": {"cpus": cpus},
        "seed": workload.seed,
    }
