"""Runs studies one after the other on one fleet, and keeps coordinator and trainers alive meanwhile.

Knows the order of things: fleet, check, coordinator, replacement of what dies. Must not know what a trial is.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import Any

import ray

from bandstand.errors import ServiceError
from bandstand.locations import ray_address
from bandstand.running.messages import Instructions, StudyAtRest, StudyNote, StudyOutcome, StudyStarted, Tell
from bandstand.study.study_spec import StudySpec
from bandstand.traces import span
from bandstand_workers.coordinator.coordinator_start import HandedUrl, settled, start_coordinator
from bandstand_workers.coordinator.signals import Departure
from bandstand_workers.fleet.first_trainer import wait_for_first_trainer
from bandstand_workers.fleet.fleet import Fleet
from bandstand_workers.fleet.handles import CoordinatorHandle
from bandstand_workers.fleet.ray_connection import check_local_ray, fitting_trainers
from bandstand_workers.fleet.resource_notes import ResourceNotes
from bandstand_workers.running.stop_request import StopRequest

__all__ = ["run_in_turn"]

_COORDINATOR_STARTS = 10
_GROW_SECONDS = 15.0
"""Between two looks whether there is work for more trainers."""
_END_SECONDS = 60.0
"""What a coordinator may take to end after the trainers that did not pause were ended."""
_log = logging.getLogger(__name__)


def run_in_turn(job: Instructions, database_url: str, stop: StopRequest, tell: Tell) -> None:
    """Run one study after the other, on the same trainers where these suit; as `run_job`.

    Raises:
        NotBegunError: it was stopped while it waited for its first trainer.
    """
    fleet: Fleet | None = None
    upcoming: _StudyOnFleet | None = None
    try:
        for spec, following in zip(job.specs, [*job.specs[1:], None], strict=True):
            if stop.is_set():
                return
            if fleet is not None and (fleet.resources != spec.resources or spec.executor == "tune"):
                fleet.end()
                fleet = None
            with span("run a study", {"bandstand.study": spec.name}) as run:
                if spec.executor == "tune":
                    outcome = _run_under_tune(job, spec, database_url, stop, tell, run.parent_for_others)
                else:
                    if fleet is None:
                        fleet = Fleet(spec.resources, job.code, _fleet_size(job, spec), job.labels)
                    fleet.take_up(spec)
                    study, upcoming = upcoming or _StudyOnFleet(job, spec, fleet, database_url, stop, tell), None
                    with closing(study):  # its coordinator starts beside the trainers, or did beside the last study
                        study.begin()
                        if following and (following.executor, following.resources) == ("actors", spec.resources):
                            upcoming = _StudyOnFleet(job, following, fleet, database_url, stop, tell)
                        outcome = study.run(run.parent_for_others)
                run.tell({"bandstand.outcome": outcome.state})
                if outcome.state == "failed":
                    run.fail(outcome.reason)
            tell(StudyAtRest(study=spec.name, outcome=outcome))
    finally:
        if upcoming is not None:
            upcoming.close()


def _fleet_size(job: Instructions, spec: StudySpec) -> int | None:
    """How many trainers a study is to have; None for as many as a cluster comes to have room for."""
    if job.workers is None and ray_address() is None:
        return fitting_trainers(spec.resources)
    return job.workers


def _run_under_tune(
    job: Instructions, spec: StudySpec, database_url: str, stop: StopRequest, tell: Tell, trace: str | None
) -> StudyOutcome:
    from bandstand_workers.tune.executor import run_under_tune
    from bandstand_workers.tune.tune_run import TuneRun

    workers = job.workers or fitting_trainers(spec.resources)
    run = TuneRun(
        spec=spec,
        workers=workers,
        code=job.code,
        checkpoints_uri=job.checkpoints_uri,
        database_url=database_url,
        conditions=job.conditions_of(spec.name),
        stop=stop,
        running=lambda: tell(StudyStarted(study=spec.name, workers=workers)),
        note=lambda message: tell(StudyNote(study=spec.name, message=message)),
        trace=trace,
    )
    return run_under_tune(run)


class _StudyOnFleet:
    """One study on the fleet."""

    def __init__(
        self, job: Instructions, spec: StudySpec, fleet: Fleet, database_url: str, stop: StopRequest, tell: Tell
    ):
        """Begin to start the coordinator, which takes a second or two; it touches nothing before `run`."""
        self._job = job
        self._spec = spec
        self._fleet = fleet
        self._database_url = database_url
        self._stop = stop
        self._stop_sent = False
        self._tell = tell
        self._shortage = ResourceNotes(fleet, lambda message: tell(StudyNote(study=spec.name, message=message)))
        self._handed: list[HandedUrl] = []
        self._coordinator = self._start_coordinator()

    def close(self) -> None:
        """End the coordinator, and take back the URL that was handed to it.

        Ray would keep it until a garbage collection, because its `departure` never returns.
        """
        ray.kill(self._coordinator)
        for handed in self._handed:
            handed.close()

    def begin(self) -> None:
        """Wait until a trainer of the fleet, which has taken up the study, is ready and has checked it.

        Raises:
            InputError, ServiceError, NotBegunError: as `wait_for_first_trainer`.
        """
        wait_for_first_trainer(self._fleet, self._stop, self._shortage)
        self._shortage.begun()
        self._tell(StudyStarted(study=self._spec.name, workers=self._fleet.placed))

    def run(self, trace: str | None) -> StudyOutcome:
        """The study's outcome, from as many coordinators as it takes; `begin` comes first. `trace` is this run's span.

        Raises:
            BandstandError: the coordinator refuses the study.
        """
        for start in range(_COORDINATOR_STARTS):
            if start:
                _log.warning("the coordinator of %r died; starting another", self._spec.name)
                self._coordinator = self._start_coordinator()
                self._stop_sent = False
            try:
                return self._attend(self._coordinator, trace)
            except ray.exceptions.RayActorError:
                continue
        raise ServiceError(f"the coordinator died {_COORDINATOR_STARTS} times; run the study again to continue")

    def _start_coordinator(self) -> CoordinatorHandle:
        # Not earlier: the trainers, which take longer, start meanwhile.
        from bandstand_workers.coordinator.coordinator import CoordinatorActor

        coordinator: CoordinatorHandle
        coordinator, handed = start_coordinator(
            CoordinatorActor,
            self._spec,
            self._database_url,
            self._job.checkpoints_uri,
            self._job.conditions_of(self._spec.name),
        )
        self._handed.append(handed)
        coordinator.warm_up.remote()
        return coordinator

    def _attend(self, coordinator: CoordinatorHandle, trace: str | None) -> StudyOutcome:
        """Wait for the outcome; give the coordinator trainers as they come, replace them as they go; pass on a stop."""
        outcome = coordinator.run.remote(dict(self._fleet.ready), trace)
        departure = coordinator.departure.remote()
        idle: Any = None
        asked_at = end_by = time.monotonic()
        while True:
            awaited = [outcome, departure, *self._fleet.awaited, *([] if idle is None else [idle])]
            ready, _ = ray.wait(awaited, num_returns=1, timeout=0.2)
            check_local_ray()
            if outcome in ready:
                return settled(ray.get(outcome))
            if departure in ready:
                departed: Departure = ray.get(departure)
                departure = coordinator.departure.remote()
                _log.warning("%s is replaced: %s", departed.name, departed.reason)
                self._fleet.replace(departed.name)
            if idle is not None and idle in ready:
                self._fleet.may_grow, idle = ray.get(idle) == 0, None
            elif idle is None and time.monotonic() - asked_at >= _GROW_SECONDS:
                asked_at, idle = time.monotonic(), coordinator.idle.remote()
            for name, trainer in self._fleet.advance(ready).items():
                coordinator.join.remote(name, trainer)
            self._shortage.look()
            if self._stop.is_set() and not self._stop_sent:
                coordinator.stop.remote(self._stop.grace_seconds)
                self._stop_sent = True
                end_by = time.monotonic() + self._stop.grace_seconds + _END_SECONDS
            if self._stop_sent and time.monotonic() > end_by:
                raise ServiceError(
                    f"the coordinator must end within {self._stop.grace_seconds + _END_SECONDS:.0f} s of a stop; "
                    "it did not. Run the study again to continue it"
                )
