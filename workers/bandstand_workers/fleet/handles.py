"""What others may call of a trainer and of a coordinator, which are Ray actors in other processes.

Knows the methods by name, as Ray's handles have no types. Must not know what the methods do.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

__all__ = ["CoordinatorHandle", "RemoteMethod", "TrainerHandle"]


class RemoteMethod(Protocol):
    """A method of an actor, called from elsewhere."""

    def remote(self, *arguments: Any) -> Awaitable[Any]:
        """Begin the call; what is returned is awaited, or given to `ray.get`."""
        ...


class TrainerHandle(Protocol):
    """A trainer, by the methods of `Trainer`."""

    prepare: RemoteMethod
    check: RemoteMethod
    inputs: RemoteMethod
    train: RemoteMethod
    make_model: RemoteMethod
    combine: RemoteMethod
    evaluate: RemoteMethod
    wait_for_checkpoints: RemoteMethod
    baseline_memory_bytes: RemoteMethod
    memory_bytes: RemoteMethod


class CoordinatorHandle(Protocol):
    """A coordinator, by the methods of `Coordinator`."""

    warm_up: RemoteMethod
    run: RemoteMethod
    join: RemoteMethod
    idle: RemoteMethod
    departure: RemoteMethod
    stop: RemoteMethod
    report: RemoteMethod
    checkpointed: RemoteMethod
    take_inputs: RemoteMethod
    memory_is_short: RemoteMethod
