"""Runs a study whose population Ray Tune's own scheduler compares: a Tuner per population, then the chosen model.

Knows the order of things. Must not know what Tune decides, nor how that is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune

from bandstand.errors import ServiceError
from bandstand.locations import ray_address
from bandstand.running.messages import StudyOutcome
from bandstand_workers.coordinator.coordinator_start import settled, start_coordinator
from bandstand_workers.fleet.first_trainer import wait_for_first_trainer
from bandstand_workers.fleet.fleet import Fleet
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.fleet.resource_notes import ResourceNotes
from bandstand_workers.tune.member import MemberTrainable
from bandstand_workers.tune.population import MEMBER, PopulationConfig
from bandstand_workers.tune.population_coordinator import MemberStart, PopulationCoordinatorActor
from bandstand_workers.tune.tune_run import TuneRun
from bandstand_workers.tune.tuner import Fit, make_tuner

__all__ = ["run_population"]

_MEMBER_FAILURES = 10
"""How often Tune begins again with a member whose process died; each death also counts for its trial."""
_IDLE_TUNERS = 3
"""Tuners in a row that train no epoch, after which a study cannot be run."""


def run_population(run: TuneRun, folder: Path) -> StudyOutcome:
    """The study's outcome.

    Raises:
        InputError: the study is refused; nothing was written.
        BandstandError: its coordinator refuses it, as while another one runs it.
        RayActorError: the coordinator died.
        ServiceError: Tune does not run.
    """
    with _one_trainer(run):
        pass  # it has checked the study, and makes room for Tune's
    run.running()
    coordinator, handed = start_coordinator(
        PopulationCoordinatorActor, run.spec, run.database_url, run.checkpoints_uri, run.conditions, run.workers
    )
    try:
        outcome = coordinator.run.remote({}, run.trace)
        idle = 0
        while members := _answer(coordinator, coordinator.begin_tuner.remote(), outcome, run):
            before = ray.get(coordinator.epochs.remote())
            _fit(run, coordinator, outcome, members, folder)
            idle = idle + 1 if ray.get(coordinator.epochs.remote()) == before else 0
            if idle == _IDLE_TUNERS:
                raise ServiceError(f"{_IDLE_TUNERS} Tuners in a row trained nothing; Ray Tune's words are in the log")
        if members is not None and ray.get(coordinator.wants_model.remote()):
            with _one_trainer(run) as trainers:
                coordinator.close_population.remote(trainers)
                return settled(ray.get(outcome))
        coordinator.close_population.remote({})
        return settled(ray.get(outcome))
    finally:
        handed.close()
        ray.kill(coordinator)


def _fit(run: TuneRun, coordinator: Any, outcome: Any, members: Sequence[MemberStart], folder: Path) -> None:
    """One Tuner's life."""
    config = PopulationConfig(run.spec)
    cpus = None
    if (
        ray_address() is None
    ):  # a local Ray is ours alone: its CPUs are shared out, so that no more members get a process
        share = math.floor(ray.cluster_resources().get("CPU", 1.0) / run.workers * 1e4) / 1e4  # as fine as Ray counts
        cpus = max(run.spec.resources.cpus, share)
    tuner = make_tuner(
        MemberTrainable,
        run.spec,
        folder,
        parameters={
            "coordinator": coordinator,
            "spec": run.spec.model_dump(mode="json"),
            "code": run.code,
        },
        cpus=cpus,
        failures=_MEMBER_FAILURES,
        param_space={MEMBER: tune.grid_search([config.member(each.trial, each.params) for each in members])},
        scheduler=config.make_scheduler(),
    )
    fit = Fit(tuner)
    stop_sent = False
    while fit.is_alive:
        if ray.wait([outcome], timeout=0.2)[0]:  # it died, or the study cannot be stored: members are told to end
            break
        if run.stop.is_set() and not stop_sent:
            coordinator.stop.remote()
            stop_sent = True
    fit.end()
    if fit.error and not ray.wait([outcome], timeout=0)[0]:
        raise ServiceError(f"Ray Tune ended before the study did: {fit.error}")


def _answer(coordinator: Any, answer: Any, outcome: Any, run: TuneRun) -> Any:
    """The coordinator's answer; None where the study has its outcome already."""
    ready, _ = ray.wait([outcome, answer], num_returns=1)
    if run.stop.is_set():
        coordinator.stop.remote()
    return ray.get(answer) if answer in ready else None


@contextmanager
def _one_trainer(run: TuneRun) -> Iterator[dict[str, TrainerHandle]]:
    """A trainer of our own that has checked the study, outside Tune; it ends with the context."""
    fleet = Fleet(run.spec.resources, run.code, size=1)
    try:
        fleet.take_up(run.spec)
        wait_for_first_trainer(fleet, run.stop, ResourceNotes(fleet, run.note))
        yield dict(fleet.ready)
    finally:
        fleet.end()
