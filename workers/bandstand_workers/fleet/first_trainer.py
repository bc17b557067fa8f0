"""The first trainer of a study: waited for as long as it takes, and asked to check the study.

Knows when a study may begin. Must not know what comes then.
"""

from __future__ import annotations

import logging
import threading
import time

import ray

from bandstand.errors import InputError, ServiceError
from bandstand_workers.fleet.fleet import Fleet
from bandstand_workers.fleet.places import node_died
from bandstand_workers.fleet.ray_connection import check_local_ray
from bandstand_workers.fleet.resource_notes import ResourceNotes

__all__ = ["NotBegunError", "wait_for_first_trainer"]

_LOOK_SECONDS = 0.2
_log = logging.getLogger(__name__)


class NotBegunError(Exception):
    """It was stopped while it waited for its first trainer; nothing of it was written."""


def wait_for_first_trainer(fleet: Fleet, stop: threading.Event, notes: ResourceNotes) -> None:
    """Wait until a trainer is ready and has checked the study. Others may come later.

    Args:
        fleet: it has taken up the study.
        stop: set to wait no longer.
        notes: says meanwhile what is waited for.

    Raises:
        InputError: the study is refused.
        ServiceError: the trainers do not start.
        NotBegunError: it was stopped.
    """
    checked = False
    while not stop.is_set():
        check_local_ray()
        if fleet.ready and checked:
            return
        if fleet.ready:
            checked = _is_checked(fleet, stop, notes)
            continue
        if fleet.awaited:
            fleet.advance(ray.wait(fleet.awaited, num_returns=1, timeout=_LOOK_SECONDS)[0])
        else:
            fleet.advance([])
            stop.wait(_LOOK_SECONDS)
        notes.look()
    raise NotBegunError


def _is_checked(fleet: Fleet, stop: threading.Event, notes: ResourceNotes) -> bool:
    """Have a trainer check the study; one whose process dies over it leaves the verdict to the trials.

    Returns:
        Whether it need not be asked again.
    """
    checker, trainer = next(iter(fleet.ready.items()))
    answer, began = trainer.check.remote(), time.monotonic()
    while not ray.wait([answer], timeout=_LOOK_SECONDS)[0]:
        check_local_ray()
        if stop.is_set():
            return False
        notes.checking(time.monotonic() - began)
        if time.monotonic() - began >= fleet.load_seconds:
            fleet.replace(checker)
            raise ServiceError(
                f"a study must be checked within {fleet.load_seconds:.0f} s (load_seconds); this one was not: see what "
                "its builder waits for, or set load_seconds higher"
            )
    try:
        refusal = ray.get(answer)
    except ray.exceptions.ActorUnavailableError:
        stop.wait(_LOOK_SECONDS)  # Ray takes a while to know whether the node is dead
        return False
    except ray.exceptions.RayActorError as error:
        fleet.replace(checker)
        if node_died(error):
            return False
        _log.warning("a trainer died when it checked the study")
        return True
    except ray.exceptions.RayError as error:
        raise ServiceError(f"a trainer cannot check the study: {str(error).strip().splitlines()[-1]}") from error
    if refusal:
        raise InputError(refusal)
    return True
