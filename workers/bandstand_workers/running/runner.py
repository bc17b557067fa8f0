"""Runs the studies of a job in this process: connects Ray, and lets go of it in the end.

Knows the order in which Ray and its environment come. Must not import Ray before that environment is complete, nor know
how a study is run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

from bandstand.errors import BandstandError, ClusterUnreachableError
from bandstand.running.messages import Instructions, Tell
from bandstand.traces import TRACE_PARENT, begin_traces
from bandstand_workers.fleet.ray_connection import (
    check_local_ray,
    check_room,
    connect_ray,
    leave_ray,
    protect_local_ray,
    watch_cluster,
)
from bandstand_workers.running.stop_request import StopRequest

__all__ = ["run_job"]


def run_job(
    job: Instructions,
    database_url: str,
    stop: StopRequest,
    tell: Tell,
    on_loss: Callable[[ClusterUnreachableError], NoReturn],
) -> None:
    """Run the job's studies.

    Args:
        job: what to do.
        database_url: a secret.
        stop: set to have the running study paused and the rest left.
        tell: is given what happens, in this thread. A study stopped while it waits for its first trainer neither runs
            nor ends; of one that is refused, the error is all that is told.
        on_loss: is called in another thread when the cluster is lost; it ends the process without Ray's help.

    Raises:
        InputError: a study is refused; nothing of it was written.
        BandstandError: its coordinator refuses it, as while another one runs it.
        LocalRayDiedError: the process must end at once; what is left of Ray in it may wait for ever.
        ServiceError: the machinery does not run.
    """
    begin_traces("bandstand-job", os.environ.get(TRACE_PARENT))
    protect_local_ray()
    if any(spec.executor == "tune" for spec in job.specs):
        from bandstand_workers.tune.environment import prepare_tune

        prepare_tune()
    from bandstand_workers.fleet.first_trainer import NotBegunError
    from bandstand_workers.running.studies_in_turn import run_in_turn

    cpus = max((job.workers or 1) * spec.resources.cpus for spec in job.specs)
    connect_ray(job.specs[0].resources, cpus)
    watch = watch_cluster(on_loss)
    try:
        for spec in job.specs:
            check_room(spec.resources, job.workers or 1)
        run_in_turn(job, database_url, stop, tell)
    except NotBegunError:
        return
    except Exception as error:
        if not isinstance(error, BandstandError):
            check_local_ray(error)  # whatever is asked of a dead one fails in a way of its own
        raise
    finally:
        if watch is not None:
            watch.end()
        leave_ray()
