"""What is told of a training that raised.

Knows errors of the user's code, and of memory that ran out. Must not know what becomes of the trial.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from bandstand.study.study_spec import StudySpec
from bandstand.trials.failure_kinds import OUT_OF_MEMORY, memory_message
from bandstand_workers.messages import Failure
from bandstand_workers.training.memory import memory_limit
from bandstand_workers.training.memory.memory_limit import MemoryLimit, MemoryUse
from bandstand_workers.training.memory.shortage import asked_bytes, is_shortage, on_gpu
from bandstand_workers.training.user_code.errors import missing_param, place_of, said_with_place

__all__ = ["failure_from", "with_size"]

_LEAST_BYTES = 8
"""For each parameter that is trained: its value and its gradient, of 4 bytes each. Optimizers need more."""


def failure_from(error: Exception, spec: StudySpec, params: Mapping[str, Any]) -> Failure:
    """The failure of a trial with these params; one that asked for a param that is not active is told so."""
    if is_shortage(error):
        memory_limit.lift()  # what is said of it takes memory, too
        return _failure_from(error, OUT_OF_MEMORY, OUT_OF_MEMORY)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    failure = _failure_from(error, "exception", f"{type(error).__name__} at {place}")
    asked = missing_param(error, params, [name for name, _, _ in spec.space.flat()])
    return failure if asked is None else dataclasses.replace(failure, message=f"KeyError: {asked}")


def with_size(
    failure: Failure,
    *,
    limit: MemoryLimit,
    use: MemoryUse,
    count: Callable[[], int | None],
    batch_size: int,
) -> Failure:
    """A failure with what it says of sizes, where memory ran out; another is given back as it is.

    Args:
        failure: of a training.
        limit: of the process.
        use: the training's.
        count: counts the parameters of a model that was not built.
        batch_size: of the training.
    """
    if failure.kind != OUT_OF_MEMORY:
        return failure
    parameters = use.parameters or count()
    message = memory_message(
        asked_bytes=failure.asked_bytes,
        limit_bytes=limit.limit_bytes if not failure.on_gpu else None,
        on_gpu=failure.on_gpu,
        parameters=parameters,
        batch_size=batch_size,
        place=failure.place,
    )
    room = limit.room_bytes
    needed = max(failure.asked_bytes or 0, _LEAST_BYTES * (parameters or 0))
    too_large = room is not None and not failure.on_gpu and needed > room
    return dataclasses.replace(failure, message=message, parameters=parameters, crowded=use.crowded and not too_large)


def _failure_from(error: Exception, kind: str, cause: str) -> Failure:
    return Failure(
        kind=kind,
        message=said_with_place(error),
        cause=cause,
        detail="".join(traceback.format_exception(error))[-20_000:],
        asked_bytes=asked_bytes(error) if kind == OUT_OF_MEMORY else None,
        on_gpu=kind == OUT_OF_MEMORY and on_gpu(error),
        place=place_of(error),
    )
