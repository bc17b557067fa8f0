"""The Ray that trainers run on: a local one of ours, or the cluster that RAY_ADDRESS names; and what it has room for.

Knows Ray's environment and resources. Imports no Ray by itself, which reads the environment when it is imported. Must
not know trainers.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandstand.errors import ClusterUnreachableError, InputError, LocalRayDiedError, one_line
from bandstand.locations import bandstand_home, ray_address
from bandstand.report.text import counted
from bandstand.running.ray_folders import RayFolder, take_from_others
from bandstand.study.study_spec import Resources
from bandstand_workers.fleet.cluster_watch import ClusterWatch
from bandstand_workers.internals.ray_parts import dead_parts_of_ray, raylet_socket

__all__ = [
    "check_local_ray",
    "check_room",
    "connect_ray",
    "fitting_trainers",
    "leave_ray",
    "local_cores",
    "local_ray_lives",
    "protect_local_ray",
    "ray_bounds",
    "watch_cluster",
]

_HASH_SEED = "PYTHONHASHSEED"
_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""The variable in which Ray gives a job its configuration."""
_LOG_BYTES, _LOG_FILES = 8 * 1024**2, 1
"""What a process of a local Ray may print to each of its two logs before a new one begins, and how many older ones
stay: whatever users' code prints, the disk does not fill."""
_KEPT_CALLS = 1_000
"""Of the calls that have ended, Ray's GCS remembers so many for who lists them; left to itself, a hundred thousand."""
_folder: RayFolder | None = None
"""Of the local Ray of this process."""


def protect_local_ray() -> None:
    """Give a local Ray a login of its own, and the priority of other programs.

    Must run before Ray is imported, which reads the environment then. Ray's GCS listens on all interfaces; left to
    itself, Ray would write a token into a file that others may read.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would run its workers at the lowest priority but four: whatever else the machine does would starve trainings.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if ray_address() is None:  # its processes inherit it; on a cluster `connect_ray` says it
        os.environ.setdefault(_HASH_SEED, _hash_seed())
        os.environ.update(ray_bounds())
    if ray_address() is None and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)


def ray_bounds() -> dict[str, str]:
    """The environment that bounds the logs and the memory of a local Ray's processes; what the user has set stays."""
    bounds = {
        "RAY_ROTATION_MAX_BYTES": str(_LOG_BYTES),
        "RAY_ROTATION_BACKUP_COUNT": str(_LOG_FILES),
        "RAY_task_events_max_num_task_in_gcs": str(_KEPT_CALLS),
    }
    return {name: os.environ.get(name, value) for name, value in bounds.items()}


def _hash_seed() -> str:
    """What Python's hashes of texts are made with, and so the order of sets: the user's, or the same everywhere."""
    return os.environ.get(_HASH_SEED, "0")


def _environment_of_trainers() -> dict[str, Any]:
    """What a cluster's processes need before Python starts there, as Ray's runtime environment.

    In a job whose own environment has it, Ray would refuse it twice.
    """
    in_job = _RAY_JOB in os.environ
    return {} if in_job and _HASH_SEED in os.environ else {"env_vars": {_HASH_SEED: _hash_seed()}}


def connect_ray(resources: Resources, cpus: float) -> None:
    """Start a local Ray, or join the cluster that RAY_ADDRESS names.

    Args:
        resources: of one trainer.
        cpus: what all trainers together want; a local Ray is told that it has them, because trainers beyond the
            number of cores are the user's own choice.

    Raises:
        ClusterUnreachableError: the cluster does not answer.
        LocalRayDiedError: the local Ray does not start.
        InputError: trainers that need GPUs are asked of a machine without, or no folder for temporary files has a path
            that is short enough.
    """
    import ray

    address = ray_address()
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address is not None:
        try:
            with _from_empty_folder():
                ray.init(address=address, runtime_env=_environment_of_trainers(), **quiet)
        except Exception as error:
            raise ClusterUnreachableError(
                f"RAY_ADDRESS must name a running cluster; {address!r} does not answer: {type(error).__name__}: "
                "start it, or unset RAY_ADDRESS to use a local Ray"
            ) from error
        return
    global _folder
    _folder = RayFolder()
    try:
        with _standing_in(_folder.empty):
            ray.init(
                address="local",
                _temp_dir=str(_folder.path),
                object_store_memory=128 * 1024**2,  # only messages travel; data are loaded by each trainer
                include_dashboard=False,
                num_cpus=max(local_cores(), math.ceil(cpus)),
                **quiet,
            )
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        if "timed out during startup" in str(error):
            reason = "it allows itself 30 s, and other programs kept the machine busy for longer: end some of them"
        raise LocalRayDiedError(f"Ray did not start on this machine: {reason}") from error
    take_from_others(_folder.private)
    try:
        check_room(resources, 1)
    except Exception as error:
        if not isinstance(error, InputError):
            check_local_ray(error)  # whatever is asked of a dead one fails in a way of its own
        raise


def leave_ray() -> None:
    """Let go of the cluster, or end the local Ray, whose files go with it. A Ray that died keeps its files."""
    import ray

    if not local_ray_lives():
        return  # it would be waited for
    ray.shutdown()
    if _folder is not None:
        _folder.remove()


def watch_cluster(on_loss: Callable[[ClusterUnreachableError], None]) -> ClusterWatch | None:
    """Begin to watch the cluster that this process has joined; None for a local Ray, at which others look.

    Args:
        on_loss: as of `ClusterWatch`.
    """
    import ray

    if ray_address() is None:
        return None
    return ClusterWatch(ray.get_runtime_context().gcs_address, raylet_socket(), on_loss)


def local_ray_lives() -> bool:
    """Whether no part of the local Ray has died; True on a cluster, at which this does not look."""
    return ray_address() is not None or not dead_parts_of_ray()


def check_local_ray(cause: Exception | None = None) -> None:
    """See that all parts of the local Ray live; a cluster is not looked at.

    Args:
        cause: an error that a dead part may have caused.

    Raises:
        LocalRayDiedError: one has died. What is asked of Ray then may wait for ever.
    """
    if ray_address() is None and (dead := dead_parts_of_ray()):
        raise LocalRayDiedError(f"a part of the local Ray died: {', '.join(dead)}") from cause
    if _folder is not None:
        take_from_others(_folder.private)  # Ray's processes may have made more in it


@contextmanager
def _from_empty_folder() -> Iterator[None]:
    """Stand in an empty folder for a while, which is there for good: a killed process leaves none behind."""
    with _standing_in(_empty_folder()):
        yield


@contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    """Stand in an empty folder for a while.

    Ray puts the folder in which it is started before everything else that its actors import, and a local Ray's
    processes go on standing in it. So it must stay until this process ends.
    """
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _empty_folder() -> Path:
    """The one in the home, else a temporary one that ends with this process."""
    folder = bandstand_home() / "empty"
    try:
        folder.mkdir(mode=0o500, parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            return folder
    except OSError:
        pass  # a job on a cluster may have no home to write to
    temporary = tempfile.TemporaryDirectory(prefix="bandstand-empty-", ignore_cleanup_errors=True)
    atexit.register(temporary.cleanup)
    return Path(temporary.name)


def check_room(resources: Resources, workers: int) -> None:
    """Refuse trainers that a local Ray never has room for; a cluster may grow.

    Raises:
        InputError: this machine has too few GPUs, or too little memory.
    """
    import ray

    if ray_address() is not None:
        return
    there = ray.cluster_resources()
    gpus, memory_gb = there.get("GPU", 0), there.get("memory", 0) / 1e9
    if resources.gpus > gpus:
        raise InputError(
            f"this study needs {resources.gpus:g} {'GPU' if resources.gpus == 1 else 'GPUs'} per trainer, and this "
            f"machine has {f'{gpus:g}' if gpus else 'none'}: set resources.gpus = 0, or set RAY_ADDRESS to a cluster "
            "with GPUs"
        )
    if resources.gpus * workers > gpus:
        raise InputError(
            f"{workers} workers need {resources.gpus * workers:g} GPUs ({resources.gpus:g} each), and this machine has "
            f"{gpus:g}: ask for fewer workers, or set RAY_ADDRESS to a cluster"
        )
    if (resources.memory_gb or 0) * workers > memory_gb:
        raise InputError(
            f"each worker needs {resources.memory_gb:g} GB of memory, and Ray has {memory_gb:.1f} GB on this machine "
            f"for {counted(workers, 'worker')}: ask for fewer workers or less resources.memory_gb, or set RAY_ADDRESS "
            "to a cluster"
        )


def fitting_trainers(resources: Resources) -> int:
    """How many trainers fit on the cluster at the same time, at least one."""
    import ray

    there = ray.cluster_resources()
    cpus = there.get("CPU", 0) if ray_address() else local_cores()
    counts = [cpus / resources.cpus]
    if resources.gpus:
        counts.append(there.get("GPU", 0) / resources.gpus)
    if resources.memory_gb is not None:
        counts.append(there.get("memory", 0) / 1e9 / resources.memory_gb)
    return max(1, int(min(counts)))


def local_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
