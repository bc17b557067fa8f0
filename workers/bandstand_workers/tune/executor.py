"""Runs one study under Ray Tune, and begins again from PostgreSQL when its coordinator dies.

Knows the order of things: coordinator, Tuner, outcome. Must not know what a trial is.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import ray

from bandstand.errors import ServiceError
from bandstand.running.messages import RunRefused, StudyOutcome
from bandstand.strategies import STRATEGIES
from bandstand.strategies.policies.tune_populations import TunePB2
from bandstand_workers.coordinator.coordinator_start import settled, start_coordinator
from bandstand_workers.fleet.first_trainer import NotBegunError
from bandstand_workers.fleet.fleet import LOAD_SECONDS
from bandstand_workers.tune.population_run import run_population
from bandstand_workers.tune.searcher import CallSearcher, VerdictScheduler
from bandstand_workers.tune.trainable import CallTrainable
from bandstand_workers.tune.tune_coordinator import TuneCoordinatorActor
from bandstand_workers.tune.tune_run import TuneRun
from bandstand_workers.tune.tuner import Fit, make_tuner, tune_folder

__all__ = ["run_under_tune"]

_COORDINATOR_STARTS = 10
_ANSWER_SECONDS = 60.0
"""How long the coordinator may take for its outcome when Tune has ended."""
_START_SECONDS = 300.0
"""How long Tune may take to get a process and have the study checked."""
_log = logging.getLogger(__name__)


def run_under_tune(run: TuneRun) -> StudyOutcome:
    """The study's outcome, from as many coordinators and Tuners as it takes.

    Raises:
        InputError: the study is refused; nothing was written.
        BandstandError: its coordinator refuses it, as while another one runs it.
        ServiceError: Tune or the coordinator does not run.
        NotBegunError: it was stopped while a population waited for a first trainer.
    """
    policy = STRATEGIES.get(run.spec.sampler)
    run_once = run_population if policy is not None and issubclass(policy, TunePB2) else _run_by_calls
    for start in range(_COORDINATOR_STARTS):
        if start:
            _log.warning("the coordinator of %r died; starting another, and another Tuner", run.spec.name)
        try:
            with tune_folder() as folder:
                return run_once(run, folder)
        except ray.exceptions.RayActorError:
            continue
    raise ServiceError(f"the coordinator died {_COORDINATOR_STARTS} times; run the study again to continue")


def _run_by_calls(run: TuneRun, folder: Path) -> StudyOutcome:
    coordinator, handed = start_coordinator(
        TuneCoordinatorActor, run.spec, run.database_url, run.checkpoints_uri, run.conditions
    )
    try:
        outcome = coordinator.run_checked.remote(run.workers, run.trace)
        tuner = make_tuner(
            CallTrainable,
            run.spec,
            folder,
            parameters={
                "coordinator": coordinator,
                "spec": run.spec.model_dump(mode="json"),
                "code": run.code,
            },
            search_alg=CallSearcher(coordinator, run.workers),
            scheduler=VerdictScheduler(),
            num_samples=-1,
        )
        fit = Fit(tuner)
        answer = _attend(coordinator, outcome, fit, run)
        fit.end()
        return settled(answer)
    finally:
        handed.close()
        ray.kill(coordinator)


def _look_at_loading(seconds: float, run: TuneRun, told: set[str]) -> None:
    """See how long the study's code and data have been loading, and the study been checked.

    Raises:
        ServiceError: for too long.
    """
    limit = run.spec.load_seconds or LOAD_SECONDS
    if seconds >= min(60.0, limit / 2) and not told:
        told.add("loading")
        run.note(
            f"a process of Ray Tune has been starting, loading the study's code and data, and checking the study for "
            f"{seconds:.0f} s. It is ended after {limit:.0f} s; the setting load_seconds changes this limit"
        )
    if seconds >= limit:
        raise ServiceError(
            f"a trainer must load the study's code and data and check it within {limit:.0f} s (load_seconds); it did "
            f"not: see what the loader {run.spec.data!r} waits for, or set load_seconds higher"
        )


def _attend(coordinator: Any, outcome: Any, fit: Fit, run: TuneRun) -> StudyOutcome | RunRefused:
    """Wait for the outcome; pass on a wish to stop."""
    checked = coordinator.checked.remote()
    waiting = [checked]
    stop_sent = False
    began = time.monotonic()
    deadline = began + _START_SECONDS
    told: set[str] = set()
    while True:
        ready, _ = ray.wait([outcome, *waiting], num_returns=1, timeout=0.2)
        if outcome in ready:
            answer: StudyOutcome | RunRefused = ray.get(outcome)
            return answer
        if checked in ready:
            waiting = []
            run.running()
        elif waiting and time.monotonic() > deadline and not ray.get(coordinator.has_process.remote()):
            raise ServiceError(
                f"a process must start within {_START_SECONDS:.0f} s; Ray Tune got none of "
                f"{run.spec.resources.cpus:g} CPUs and {run.spec.resources.gpus:g} GPUs: ask for smaller resources"
            )
        elif waiting:
            _look_at_loading(time.monotonic() - began, run, told)
        if run.stop.is_set() and not stop_sent:
            coordinator.stop.remote()
            stop_sent = True
            if waiting:
                raise NotBegunError
        if not fit.is_alive and not ray.wait([outcome], timeout=_ANSWER_SECONDS)[0]:
            raise ServiceError(f"Ray Tune ended before the study did: {fit.error or 'it found nothing to do'}")
