"""A place: room on the cluster for one trainer, asked for before the trainer is started.

A trainer that waits for its place costs nothing and has not failed: Ray's autoscaler sees what is asked for, and a
study knows who waits from who starts. Knows Ray's resources and nodes. Must not know trainers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import ray
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from bandstand.study.study_spec import Resources
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.internals.ray_parts import says_node_died

__all__ = ["Place", "bundle_of", "node_died", "wait_for_verdict"]

_VERDICT_SECONDS = 60.0
_ASK_SECONDS = 0.5


def bundle_of(resources: Resources) -> dict[str, float]:
    """What one trainer takes, by Ray's names and units; memory in bytes."""
    bundle = {"CPU": resources.cpus, "GPU": resources.gpus}
    if resources.memory_gb is not None:
        bundle["memory"] = int(resources.memory_gb * 1e9)
    return {name: amount for name, amount in bundle.items() if amount}


def node_died(error: BaseException) -> bool:
    """Whether an actor is gone because its machine is: preempted, crashed, cut off. What ran there is not to blame."""
    return isinstance(error, ray.exceptions.RayActorError) and (error.preempted or says_node_died(error))


async def wait_for_verdict(trainer: TrainerHandle, error: BaseException) -> BaseException:
    """What an actor died of, where at first all that is known is that it does not answer.

    Ray needs some seconds to tell a node that is dead from one that is slow.

    Args:
        trainer: the actor.
        error: what a call to it has raised.

    Returns:
        The error of its death, or `error` if that was it, or if there is no verdict in time.
    """
    verdict, deadline = error, time.monotonic() + _VERDICT_SECONDS
    while isinstance(verdict, ray.exceptions.ActorUnavailableError) and time.monotonic() < deadline:
        await asyncio.sleep(_ASK_SECONDS)
        try:
            await asyncio.wait_for(trainer.memory_bytes.remote(), deadline - time.monotonic())
        except ray.exceptions.RayActorError as found:
            verdict = found
        except (ray.exceptions.RayError, TimeoutError):
            break
        else:
            break
    return verdict


class Place:
    """Room for one trainer; it is this process's, and ends with it."""

    def __init__(self, resources: Resources, labels: Mapping[str, str] = MappingProxyType({})):
        """Ask for it.

        Args:
            resources: of the trainer.
            labels: that its node must have, as Ray's label selectors.
        """
        self._bundle = bundle_of(resources)
        self._group = placement_group([self._bundle], bundle_label_selector=[dict(labels)] if labels else None)
        self.given = self._group.ready()
        """Reference that is ready when the place has been given."""

    def start(self, actor: Any, *arguments: Any, calls_at_once: int = 1) -> Any:
        """Start an actor in the place, which must have been given; returns its handle.

        Args:
            actor: its class.
            arguments: of its constructor.
            calls_at_once: how many of its methods may run at the same time, each in a thread.
        """
        resources = dict(self._bundle)
        options = {
            "num_cpus": resources.pop("CPU", 0),
            "num_gpus": resources.pop("GPU", 0),
            "max_concurrency": calls_at_once,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(self._group),
            **resources,
        }
        return actor.options(**options).remote(*arguments)

    @property
    def is_alive(self) -> bool:
        """Whether the place is where it was given: its node lives."""
        nodes = placement_group_table(self._group)["bundles_to_node_id"].values()
        living = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        return bool(nodes) and living.issuperset(nodes)

    def give_back(self) -> None:
        """Leave it to others, or do not wait for it any more; what runs there ends."""
        remove_placement_group(self._group)
