"""Runs one study under `ray.tune.Tuner`, and begins again from PostgreSQL when the coordinator dies.

Knows how a Tuner is built and where its files go. Must not know what a trial is.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import ray

from service.errors import ServiceError, one_line
from service.settings import bandstand_home
from service.study import StudySpec
from workers.coordinator_start import start_coordinator

__all__ = ["run_under_tune"]

_COORDINATOR_STARTS = 10
_END_SECONDS = 60.0
"""How long Tune may take to end once there is nothing more to do."""
_log = logging.getLogger(__name__)


def run_under_tune(
    spec: StudySpec,
    *,
    workers: int,
    code_path: Sequence[str],
    checkpoints_uri: str,
    database_url: str,
    stop: threading.Event,
    running: Callable[[], None],
) -> dict[str, str]:
    """Run a study; Ray must be connected.

    Args:
        spec: the study.
        workers: Tune trials that train at the same time.
        code_path: folders in which the user's modules are looked for.
        checkpoints_uri: folder under which checkpoints and models go.
        database_url: a secret.
        stop: set to have the study paused.
        running: called once the study is known to be sound.

    Returns:
        The outcome, as `Coordinator.run`.

    Raises:
        ServiceError: Tune or the coordinator does not run.
    """
    for start in range(_COORDINATOR_STARTS):
        if start:
            _log.warning("the coordinator of %r died; starting another, and another Tuner", spec.name)
        try:
            return _run(spec, workers, code_path, checkpoints_uri, database_url, stop, running)
        except ray.exceptions.RayActorError:
            continue
    raise ServiceError(f"the coordinator died {_COORDINATOR_STARTS} times; run the study again to go on")


def _run(
    spec: StudySpec,
    workers: int,
    code_path: Sequence[str],
    checkpoints_uri: str,
    database_url: str,
    stop: threading.Event,
    running: Callable[[], None],
) -> dict[str, str]:
    from workers.tune.coordinator import DeskCoordinatorActor

    coordinator, url_file = start_coordinator(DeskCoordinatorActor, spec, database_url, checkpoints_uri)
    try:
        with _folder() as folder:
            outcome = coordinator.run_at_desks.remote(workers)
            fit = _FitThread(_make_tuner(spec, workers, code_path, coordinator, folder))
            answer = _attend(coordinator, outcome, fit, stop, running)
            fit.end()
            return answer
    finally:
        url_file.unlink(missing_ok=True)
        ray.kill(coordinator)


def _attend(
    coordinator: Any, outcome: Any, fit: _FitThread, stop: threading.Event, running: Callable[[], None]
) -> dict[str, str]:
    """Wait for the outcome; pass on a wish to stop."""
    checked = coordinator.checked.remote()
    waiting = [checked]
    stop_sent = False
    while True:
        ready, _ = ray.wait([outcome, *waiting], num_returns=1, timeout=0.2)
        if outcome in ready:
            answer: dict[str, str] = ray.get(outcome)
            return answer
        if checked in ready:
            waiting = []
            running()
        if stop.is_set() and not stop_sent:
            coordinator.stop.remote()
            stop_sent = True
        if not fit.is_alive() and not ray.wait([outcome], timeout=_END_SECONDS)[0]:
            raise ServiceError(f"Ray Tune ended before the study did: {fit.error}")


def _make_tuner(spec: StudySpec, workers: int, code_path: Sequence[str], coordinator: Any, folder: Path) -> Any:
    from ray import tune

    from workers.tune.searcher import ErrandSearcher, VerdictScheduler
    from workers.tune.trainable import ErrandTrainable

    trainable = tune.with_parameters(
        ErrandTrainable, coordinator=coordinator, spec=spec.model_dump(mode="json"), code_path=list(code_path)
    )
    return tune.Tuner(
        tune.with_resources(trainable, _resources(spec)),
        tune_config=tune.TuneConfig(
            search_alg=ErrandSearcher(coordinator, workers),
            scheduler=VerdictScheduler(),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"tune-trial-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # ours are durable already
        ),
    )


def _resources(spec: StudySpec) -> dict[str, float]:
    wanted = {"cpu": spec.resources.cpus, "gpu": spec.resources.gpus}
    if spec.resources.memory_gb is not None:
        wanted["memory"] = int(spec.resources.memory_gb * 1e9)
    return wanted


class _FitThread:
    """`Tuner.fit` in a thread, so that the main one hears signals."""

    def __init__(self, tuner: Any):
        self.error = "it found nothing to do"
        self._tuner = tuner
        self._thread = threading.Thread(target=self._fit, name="tune", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """Wait until Tune has given its processes back.

        Raises:
            ServiceError: it does not.
        """
        self._thread.join(_END_SECONDS)
        if self._thread.is_alive():
            raise ServiceError(f"Ray Tune must end within {_END_SECONDS:.0f} s of the study; it did not: run it again")

    def _fit(self) -> None:
        try:
            self._tuner.fit()
        except Exception as error:
            _log.error("Ray Tune ended", exc_info=error)
            self.error = one_line(error)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for Tune's files, removed in the end; what killed processes left of theirs goes first."""
    home = bandstand_home() / "tune"
    home.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for left in home.glob(f"{host}-*"):
        process = left.name.removeprefix(f"{host}-").split("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{host}-{os.getpid()}-", dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
