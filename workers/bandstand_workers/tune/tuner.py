"""Tuners: how one is built, where its files go, and its `fit` in a thread.

Knows `ray.tune.Tuner`. Must not know what a trial is, nor who decides.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from ray import tune

from bandstand.errors import ServiceError, one_line
from bandstand.private_folders import home_folder
from bandstand.study.study_spec import StudySpec

__all__ = ["Fit", "make_tuner", "tune_folder"]

_END_SECONDS = 60.0
"""How long Tune may take to end once there is nothing more to do."""
_log = logging.getLogger(__name__)


def make_tuner(
    trainable: Any,
    spec: StudySpec,
    folder: Path,
    *,
    parameters: dict[str, Any],
    cpus: float | None = None,
    param_space: dict[str, Any] | None = None,
    failures: int = 0,
    **settings: Any,
) -> Any:
    """A Tuner.

    Args:
        trainable: a class of Tune's kind.
        spec: the study, for its resources.
        folder: where its files go.
        parameters: what `setup` is given beside the config; Tune writes them into no file.
        cpus: of one trial, where they are not the study's.
        param_space: as Tune's.
        failures: how often Tune begins again with a trial whose process died.
        settings: of `tune.TuneConfig`.
    """
    resources = {"cpu": cpus or spec.resources.cpus, "gpu": spec.resources.gpus}
    if spec.resources.memory_gb is not None:
        resources["memory"] = int(spec.resources.memory_gb * 1e9)
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, **parameters), resources),
        param_space=param_space or {},
        tune_config=tune.TuneConfig(
            reuse_actors=True, trial_dirname_creator=lambda trial: f"tune-trial-{trial.trial_id}", **settings
        ),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # ours are durable already
            failure_config=tune.FailureConfig(max_failures=failures),
        ),
    )


class Fit:
    """`Tuner.fit` in a thread, so that the main one hears signals."""

    def __init__(self, tuner: Any):
        """Begin."""
        self.error: str | None = None
        """What it ended with, if with an error."""
        self._tuner = tuner
        self._thread = threading.Thread(target=self._fit, name="tune", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether Tune has not ended yet."""
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
        except Exception as error:  # noqa: BLE001  # Tune runs all of our code, and whoever asked must hear of it
            _log.error("Ray Tune ended", exc_info=error)
            self.error = one_line(error)


@contextmanager
def tune_folder() -> Iterator[Path]:
    """A folder for Tune's files, removed in the end; what killed processes left of theirs goes first."""
    home = home_folder("tune")
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
