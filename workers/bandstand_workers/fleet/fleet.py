"""The fleet: the Ray cluster, and the trainers on it, as many as are wanted and there is room for.

Knows resources and how trainers come to be. Must not know a study's decisions.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import math
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bandstand.errors import ClusterUnreachableError, InputError, ServiceError
from bandstand.settings import ray_address
from bandstand.study.study import Resources, StudySpec
from bandstand.study.users_code.user_modules import CodePlace

if TYPE_CHECKING:
    from bandstand_workers.fleet.places import Place

__all__ = ["Fleet", "check_room", "connect_ray", "fitting_trainers", "local_cores", "protect_local_ray"]

_MOST_TRAINERS = 64
"""Of a fleet that takes what it finds; whoever wants more names the number."""
_FAILED_FIRST_STARTS = 2
"""Trainers that do not start before any did, after which nothing can be run."""
_FAILED_STARTS = 5
"""Trainers in a row that do not start, after which the fleet fails, or goes on for a while with those it has."""
_HOLD_SECONDS = 60.0
_PLACE_SECONDS = 0.2
"""A cluster with room gives places within milliseconds."""
_DOUBT_SECONDS = 0.2
_ERRANDS = 2
"""Calls that a trainer answers beside the trials that it trains at once."""
_HASH_SEED = "PYTHONHASHSEED"
_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""The variable in which Ray gives a job its configuration."""
_log = logging.getLogger(__name__)


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
    if ray_address() is None and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


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
        InputError: trainers that need GPUs are asked of a machine without.
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
    with _from_empty_folder():
        ray.init(
            address="local",
            object_store_memory=128 * 1024**2,  # only messages travel; data are loaded by each trainer
            include_dashboard=False,
            num_cpus=max(local_cores(), math.ceil(cpus)),
            **quiet,
        )
    check_room(resources, 1)


@contextmanager
def _from_empty_folder() -> Iterator[None]:
    """Stand in an empty folder for a while.

    Ray puts the folder in which it is started before everything else that its actors import, and a local Ray's
    processes go on standing in it. So it stays until this process ends.
    """
    folder = tempfile.TemporaryDirectory(prefix="bandstand-empty-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    before = Path.cwd()
    os.chdir(folder.name)
    try:
        yield
    finally:
        os.chdir(before)


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
            f"resources.gpus must be there; a trainer wants {resources.gpus:g}, this machine has {gpus:g}: "
            "set resources.gpus = 0, or RAY_ADDRESS to a cluster with GPUs"
        )
    if resources.gpus * workers > gpus:
        raise InputError(
            f"workers must have room; {workers} of {resources.gpus:g} GPUs each are more than this machine's {gpus:g}: "
            "ask for fewer workers, or set RAY_ADDRESS to a cluster"
        )
    if (resources.memory_gb or 0) * workers > memory_gb:
        raise InputError(
            f"workers must have room; {workers} of {resources.memory_gb:g} GB each are more than the "
            f"{memory_gb:.1f} GB that Ray gives out here: ask for fewer workers or less resources.memory_gb, or set "
            "RAY_ADDRESS to a cluster"
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


class Fleet:
    """Trainer actors of one kind, each on a place of its own. Names are unique in a fleet's life.

    A trainer waits for its place, starts, prepares for the study, and is ready. Whoever owns the fleet waits for what
    is `awaited` and lets it `advance`.
    """

    def __init__(
        self,
        resources: Resources,
        code: CodePlace,
        size: int | None,
        labels: Mapping[str, str] = MappingProxyType({}),
    ):
        """Nothing is asked for before `take_up`.

        Args:
            resources: of one trainer.
            code: where trainers find the user's.
            size: how many trainers; None for as many as the cluster comes to have room for, of which the fleet asks for
                one more at a time, so that fleets share what becomes free.
            labels: that the nodes of its trainers must have.
        """
        self.resources = resources
        self.size = size
        self.may_grow = True
        """Of a fleet without a size: whether there is work for one more trainer."""
        self.ready: dict[str, Any] = {}
        """The trainers that are prepared for the study, by name."""
        self._code = code
        self._labels = labels
        self._counter = itertools.count(1)
        self._asked: dict[Any, Place] = {}  # reference of its being given -> place
        self._placed: dict[str, tuple[Place, Any]] = {}  # name -> place and trainer
        self._answers: dict[Any, str] = {}  # answer of `prepare` -> name
        self._settings: dict[str, Any] = {}
        self._most = _MOST_TRAINERS
        self._was_ready = False
        self._failed_starts = 0
        self._held_until = 0.0

    @property
    def placed(self) -> int:
        """How many trainers have a place, ready or not."""
        return len(self._placed)

    @property
    def awaited(self) -> list[Any]:
        """References to wait for: places that are given, trainers that are prepared."""
        return [*self._asked, *self._answers]

    def take_up(self, spec: StudySpec) -> None:
        """Prepare for this study, whose resources must be the fleet's; what there is room for starts at once."""
        import ray

        self._settings = spec.model_dump(mode="json")
        self._most = min(_MOST_TRAINERS, spec.budget.trials or _MOST_TRAINERS)
        self.may_grow = True
        self.ready.clear()
        self._answers = {
            trainer.prepare.remote(self._settings, False): name for name, (_, trainer) in self._placed.items()
        }
        self.ask()
        asked = list(self._asked)
        if asked:
            self.advance(ray.wait(asked, num_returns=len(asked), timeout=_PLACE_SECONDS)[0])

    def ask(self) -> None:
        """Ask for the places that are missing, or leave those that are not wanted any more to others."""
        from bandstand_workers.fleet.places import Place

        wanted = self.size if self.size is not None else min(self._most, self.placed + self.may_grow)
        if time.monotonic() < self._held_until:
            wanted = self.placed
        while self.placed + len(self._asked) < wanted:
            place = Place(self.resources, self._labels)
            self._asked[place.given] = place
        while self._asked and self.placed + len(self._asked) > wanted:
            self._asked.popitem()[1].give_back()

    def advance(self, references: Iterable[Any]) -> dict[str, Any]:
        """Go on after these references, of which those that are `awaited` count; returns the trainers ready now.

        Raises:
            InputError: the study is refused, and no trainer has taken it.
            ServiceError: trainers do not start, and none is ready.
        """
        joined = {}
        for reference in references:
            if reference in self._asked:
                self._start_on(self._asked.pop(reference))
            elif reference in self._answers:
                name = self._answers.pop(reference)
                if self._is_prepared(name, reference):
                    joined[name] = self.ready[name] = self._placed[name][1]
        self.ask()
        return joined

    def replace(self, name: str) -> None:
        """End a trainer, and start another one on its place, or ask for a new place if its node is gone."""
        import ray

        if name not in self._placed:
            return
        self.ready.pop(name, None)
        place, trainer = self._placed.pop(name)
        self._answers = {answer: other for answer, other in self._answers.items() if other != name}
        ray.kill(trainer)
        if place.is_alive and time.monotonic() >= self._held_until:
            self._start_on(place)
        else:
            place.give_back()
        self.ask()

    def end(self) -> None:
        """End all trainers, and give their places back."""
        for place in [*self._asked.values(), *(place for place, _ in self._placed.values())]:
            place.give_back()
        for waiting in (self._asked, self._placed, self._answers, self.ready):
            waiting.clear()

    def _start_on(self, place: Place) -> None:
        from bandstand_workers.fleet.trainer import TrainerActor

        name = f"trainer-{next(self._counter)}"
        at_once = self.resources.trials_at_once
        trainer = place.start(
            TrainerActor,
            self.resources.model_dump(),
            self._code,
            calls_at_once=1 if at_once == 1 else at_once + _ERRANDS,
        )
        self._placed[name] = place, trainer
        self._answers[trainer.prepare.remote(self._settings, False)] = name

    def _is_prepared(self, name: str, answer: Any) -> bool:
        """Whether a trainer is ready for the study; one that is not is replaced."""
        import ray

        from bandstand_workers.fleet.places import node_died

        try:
            refusal = ray.get(answer)
            if not refusal:
                self._was_ready = True
                self._failed_starts = 0
                return True
            if not self.ready:
                raise InputError(refusal)
            reason = f"it refuses the study: {refusal}"
        except ray.exceptions.ActorUnavailableError:
            time.sleep(_DOUBT_SECONDS)  # Ray takes a while to know whether the node is dead
            self._answers[self._placed[name][1].prepare.remote(self._settings, False)] = name
            return False
        except ray.exceptions.RayError as error:
            if node_died(error):
                _log.warning("the node of %s died before it was ready", name)
                self.replace(name)
                return False
            reason = str(error).strip().splitlines()[-1]
            if isinstance(error, ray.exceptions.RayTaskError) and not self.ready:
                raise ServiceError(f"a trainer cannot prepare for the study: {reason}") from error
        self._count_failed_start(name, reason)
        self.replace(name)
        return False

    def _count_failed_start(self, name: str, reason: str) -> None:
        self._failed_starts += 1
        _log.warning("%s did not start: %s", name, reason)
        if self._failed_starts < (_FAILED_STARTS if self._was_ready else _FAILED_FIRST_STARTS):
            return
        if not self.ready:
            raise ServiceError(f"trainers do not start: {reason}")
        self._held_until = time.monotonic() + _HOLD_SECONDS  # the study goes on with those it has
