"""The fleet: the Ray cluster, and the trainers on it, kept at their number.

Knows resources and how trainers come to be. Must not know a study's decisions.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import secrets
from collections.abc import Sequence
from typing import Any

from service.errors import ClusterUnreachableError, InputError, ServiceError
from service.settings import ray_address
from service.study import Resources, StudySpec

__all__ = ["Fleet", "connect_ray", "fitting_trainers", "local_cores", "protect_local_ray"]

_START_SECONDS = 180.0
_log = logging.getLogger(__name__)


def protect_local_ray() -> None:
    """Give a local Ray a login of its own, and the priority of other programs.

    Must run before Ray is imported, which reads the environment then. Ray's GCS listens on all interfaces; left to
    itself, Ray would write a token into a file that others may read.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would run its workers at the lowest priority but four: whatever else the machine does would starve trainings.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if ray_address() is None and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def connect_ray(resources: Resources, cpus: float) -> None:
    """Start a local Ray, or join the cluster that RAY_ADDRESS names.

    Args:
        resources: of one trainer.
        cpus: what all trainers together want; a local Ray is told that it has them, because trainers beyond the
            number of cores are the user's own choice.

    Raises:
        ClusterUnreachableError: the cluster does not answer.
        InputError: trainers that need GPUs are asked of a machine without.
    """
    import ray

    address = ray_address()
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except Exception as error:
            raise ClusterUnreachableError(
                f"RAY_ADDRESS must name a running cluster; {address!r} does not answer: {type(error).__name__}: "
                "start it, or unset RAY_ADDRESS to use a local Ray"
            ) from error
        return
    ray.init(
        address="local",
        object_store_memory=128 * 1024**2,  # only messages travel; data are loaded by each trainer
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        num_cpus=max(local_cores(), math.ceil(cpus)),
        **quiet,
    )
    gpus = ray.cluster_resources().get("GPU", 0)
    if resources.gpus > gpus:
        raise InputError(
            f"resources.gpus must be there; a trainer wants {resources.gpus:g}, this machine has {gpus:g}: "
            "set resources.gpus = 0, or RAY_ADDRESS to a cluster with GPUs"
        )


def fitting_trainers(resources: Resources) -> int:
    """How many trainers fit on the cluster at the same time, at least one."""
    import ray

    available = ray.cluster_resources()
    cpus = available.get("CPU", 0) if ray_address() else local_cores()
    counts = [cpus / resources.cpus]
    if resources.gpus:
        counts.append(available.get("GPU", 0) / resources.gpus)
    return max(1, int(min(counts)))


def local_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Fleet:
    """Trainer actors of one kind. Names are unique in a fleet's life."""

    def __init__(self, resources: Resources, code_path: Sequence[str]):
        self.resources = resources
        self._code_path = list(code_path)
        self._counter = itertools.count(1)
        self.trainers: dict[str, Any] = {}

    def start(self, number: int) -> None:
        """Begin to start trainers; they take seconds to be ready, `prepare` waits for them."""
        for _ in range(number):
            self.trainers[f"trainer-{next(self._counter)}"] = self._start_one()

    def _start_one(self) -> Any:
        from workers.trainer import TrainerActor

        options: dict[str, Any] = {"num_cpus": self.resources.cpus, "num_gpus": self.resources.gpus}
        if self.resources.memory_gb is not None:
            options["memory"] = int(self.resources.memory_gb * 1e9)
        return TrainerActor.options(**options).remote(self.resources.model_dump(), self._code_path)

    def prepare(self, spec: StudySpec) -> None:
        """Have every trainer load the study; the first one also checks it.

        Raises:
            InputError: the study is refused.
            ServiceError: the trainers do not start.
        """
        settings = spec.model_dump(mode="json")
        answers = {
            name: trainer.prepare.remote(settings, index == 0)
            for index, (name, trainer) in enumerate(self.trainers.items())
        }
        for name, answer in answers.items():
            refusal = self._answer(name, answer, spec)
            if refusal:
                raise InputError(refusal)

    def _answer(self, name: str, answer: Any, spec: StudySpec) -> str | None:
        """What a trainer says to a study; one that died since the last study is replaced first."""
        import ray

        try:
            try:
                return ray.get(answer, timeout=_START_SECONDS)  # type: ignore[no-any-return]
            except ray.exceptions.RayActorError:
                _, _, again = self.replace(name, spec)
                return ray.get(again, timeout=_START_SECONDS)  # type: ignore[no-any-return]
        except ray.exceptions.GetTimeoutError:
            raise ServiceError(
                f"trainers must start within {_START_SECONDS:.0f} s; {len(self.trainers)} of {self.resources.cpus:g} "
                "CPUs each did not: ask for fewer workers or smaller resources"
            ) from None
        except ray.exceptions.RayError as error:
            raise ServiceError(f"a trainer does not start: {str(error).strip().splitlines()[-1]}") from error

    def end(self) -> None:
        """End all trainers."""
        import ray

        for trainer in self.trainers.values():
            ray.kill(trainer)
        self.trainers.clear()

    def replace(self, name: str, spec: StudySpec) -> tuple[str, Any, Any]:
        """End a trainer and begin to start another in its place.

        Returns:
            The new one's name, its handle, and the reference of what its `prepare` will answer.
        """
        import ray

        old = self.trainers.pop(name, None)
        if old is not None:
            ray.kill(old)
        new = f"trainer-{next(self._counter)}"
        self.trainers[new] = self._start_one()
        return new, self.trainers[new], self.trainers[new].prepare.remote(spec.model_dump(mode="json"), False)
