"""Runs studies one after the other on one fleet, and keeps coordinator and trainers alive meanwhile.

Knows the order of things: fleet, check, coordinator, replacement of what dies. Must not know what a trial is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import BandstandError, InputError, ServiceError
from service.study import StudySpec
from workers.coordinator_start import start_coordinator
from workers.fleet import Fleet, connect_ray, fitting_trainers, protect_local_ray

__all__ = ["Job", "run_job"]

_COORDINATOR_STARTS = 10
_TRAINER_FAILURES = 5
"""Trainers in a row that die before they are ready, after which a study cannot be run."""
_log = logging.getLogger(__name__)

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process of workers is asked to do."""

    specs: list[StudySpec]  # run in this order
    workers: int | None
    code_path: list[str]
    checkpoints_uri: str


def run_job(job: Job, database_url: str, stop: threading.Event, tell: Tell) -> None:
    """Run the job's studies.

    Args:
        job: what to do.
        database_url: a secret.
        stop: set to have the running study paused and the rest left.
        tell: is given {"event": "running" | "ended", "study": name, ...}.

    Raises:
        InputError: a study is refused; nothing of it was written.
        ServiceError: the machinery does not run.
    """
    protect_local_ray()
    if any(spec.executor == "tune" for spec in job.specs):
        from workers.tune.environment import prepare_tune

        prepare_tune()
    import ray

    fleet: Fleet | None = None
    upcoming: _StudyRun | None = None
    cpus = max((job.workers or 1) * spec.resources.cpus for spec in job.specs)
    connect_ray(job.specs[0].resources, cpus)
    try:
        for spec, following in zip(job.specs, [*job.specs[1:], None], strict=True):
            if stop.is_set():
                return
            if fleet is not None and (fleet.resources != spec.resources or spec.executor == "tune"):
                fleet.end()
                fleet = None
            if spec.executor == "tune":
                outcome = _run_under_tune(job, spec, database_url, stop, tell)
            else:
                if fleet is None:
                    fleet = Fleet(spec.resources, job.code_path)
                    fleet.start(job.workers or fitting_trainers(spec.resources))
                study, upcoming = upcoming or _StudyRun(job, spec, fleet, database_url, stop), None
                with closing(study):  # its coordinator starts beside the trainers, or did beside the last study
                    fleet.prepare(spec)
                    tell({"event": "running", "study": spec.name, "workers": len(fleet.trainers)})
                    if following and (following.executor, following.resources) == ("actors", spec.resources):
                        upcoming = _StudyRun(job, following, fleet, database_url, stop)
                    outcome = study.run()
            tell({"event": "ended", "study": spec.name, **outcome})
            if outcome["state"] == "refused":
                return
    finally:
        if upcoming is not None:
            upcoming.close()
        ray.shutdown()


def _run_under_tune(job: Job, spec: StudySpec, database_url: str, stop: threading.Event, tell: Tell) -> dict[str, str]:
    from workers.tune.executor import TuneRun, run_under_tune

    workers = job.workers or fitting_trainers(spec.resources)
    run = TuneRun(
        spec=spec,
        workers=workers,
        code_path=job.code_path,
        checkpoints_uri=job.checkpoints_uri,
        database_url=database_url,
        stop=stop,
        running=lambda: tell({"event": "running", "study": spec.name, "workers": workers}),
    )
    return run_under_tune(run)


class _StudyRun:
    """One study on the fleet."""

    def __init__(self, job: Job, spec: StudySpec, fleet: Fleet, database_url: str, stop: threading.Event):
        """Begin to start the coordinator, which takes a second or two; it touches nothing before `run`."""
        self._job = job
        self._spec = spec
        self._fleet = fleet
        self._database_url = database_url
        self._stop = stop
        self._stop_sent = False
        self._starting: dict[Any, tuple[str, Any]] = {}  # answer of `prepare` -> trainer
        self._failed_starts = 0
        self._url_files: list[Path] = []
        self._coordinator = self._start_coordinator()

    def close(self) -> None:
        """End the coordinator, and remove what one that died did not read.

        Ray would keep it until a garbage collection, because its `departure` never returns.
        """
        import ray

        ray.kill(self._coordinator)
        for file in self._url_files:
            file.unlink(missing_ok=True)

    def run(self) -> dict[str, str]:
        """The study's outcome, from as many coordinators as it takes; the trainers must be prepared."""
        import ray

        for start in range(_COORDINATOR_STARTS):
            if start:
                _log.warning("the coordinator of %r died; starting another", self._spec.name)
                self._coordinator = self._start_coordinator()
                self._stop_sent = False
            try:
                return self._attend(self._coordinator)
            except ray.exceptions.RayActorError:
                continue
        raise ServiceError(f"the coordinator died {_COORDINATOR_STARTS} times; run the study again to go on")

    def _start_coordinator(self) -> Any:
        from workers.coordinator import CoordinatorActor

        coordinator, url_file = start_coordinator(
            CoordinatorActor, self._spec, self._database_url, self._job.checkpoints_uri
        )
        self._url_files.append(url_file)
        return coordinator

    def _attend(self, coordinator: Any) -> dict[str, str]:
        """Wait for the outcome; replace trainers as they go; pass on a wish to stop."""
        import ray

        outcome = coordinator.run.remote(dict(self._fleet.trainers))
        departure = coordinator.departure.remote()
        while True:
            ready, _ = ray.wait([outcome, departure, *self._starting], num_returns=1, timeout=0.2)
            if outcome in ready:
                answer: dict[str, str] = ray.get(outcome)
                return answer
            if departure in ready:
                name, reason = ray.get(departure)
                departure = coordinator.departure.remote()
                self._replace(name, reason)
            for answered in [reference for reference in ready if reference in self._starting]:
                self._take_in(coordinator, answered)
            if self._stop.is_set() and not self._stop_sent:
                coordinator.stop.remote()
                self._stop_sent = True

    def _replace(self, name: str, reason: str) -> None:
        _log.warning("%s is replaced: %s", name, reason)
        new, trainer, prepared = self._fleet.replace(name, self._spec)
        self._starting[prepared] = (new, trainer)

    def _take_in(self, coordinator: Any, answered: Any) -> None:
        """Give a new trainer to the coordinator, or start yet another if this one did not come up."""
        import ray

        name, trainer = self._starting.pop(answered)
        try:
            refusal = ray.get(answered)
            if refusal:
                raise InputError(refusal)
            coordinator.join.remote(name, trainer)
            self._failed_starts = 0
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _TRAINER_FAILURES:
                raise ServiceError(f"trainers do not start any more: {str(error).strip().splitlines()[-1]}") from error
            self._replace(name, "it died before it was ready")


def exit_message(error: BandstandError) -> dict[str, Any]:
    """What the process says when it cannot go on."""
    return {"event": "refused", "kind": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
