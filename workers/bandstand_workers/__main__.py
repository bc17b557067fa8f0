"""`python -m bandstand_workers`: the processes that run studies.

    python -m bandstand_workers             runs studies for `bandstand run`, as said below
    python -m bandstand_workers job RUN     the driver of a server's job on the Ray cluster (`cluster_job`)
    python -m bandstand_workers dispatch    takes submissions from the queue to the Ray cluster (`dispatch`)

The first reads one job as a line of JSON from standard input and writes what happens as lines of JSON to standard
output, all as `bandstand.running.messages` says; whatever else would be printed goes to standard error. When standard
input ends, or on SIGINT or SIGTERM, the running study is paused at the end of its epochs and the process ends; nobody
is left training for a caller that is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from bandstand.errors import (
    BandstandError,
    ClusterUnreachableError,
    InputError,
    LocalRayDiedError,
    MissingExtraError,
    ServiceError,
    answer_to,
)
from bandstand.locations import database_url
from bandstand.running.extras_for_training import require_training
from bandstand.running.messages import Instructions, Message, RunRefused, line_from
from bandstand.running.workers_process import LOG_VARIABLE

if TYPE_CHECKING:  # it is imported when the environment is complete
    from bandstand_workers.running.stop_request import StopRequest

_ORPHAN_GRACE_SECONDS = 30.0
"""What trials may take to come to the end of their epochs once the caller is gone."""
_ORPHAN_SECONDS = 55.0
"""What this process may take to end once the caller is gone."""


def main() -> int:
    """Do what the command line says; returns the exit code."""
    try:
        require_training("`python -m bandstand_workers`")
    except MissingExtraError as error:
        print(error, file=sys.stderr)
        return answer_to(MissingExtraError).exit_code
    match sys.argv[1:]:
        case []:
            return _run_for_caller()
        case ["job", run]:
            from bandstand_workers.running.cluster_job import run_cluster_job

            return run_cluster_job(run)
        case ["dispatch", *arguments]:
            from bandstand_workers.dispatch.command import run_dispatcher

            return run_dispatcher(arguments)
    print("usage: python -m bandstand_workers [job RUN | dispatch]", file=sys.stderr)
    return 2


def _run_for_caller() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries that print must not speak on the channel

    def tell(message: Message) -> None:
        try:
            channel.write(line_from(message))
        except BrokenPipeError:
            stop.set()

    from bandstand_workers.running.stop_request import StopRequest

    stop = StopRequest()
    line = sys.stdin.readline()
    threading.Thread(target=_stop_with_caller, args=(stop,), daemon=True).start()

    from bandstand_workers.running.runner import run_job

    def end_lost(error: ClusterUnreachableError) -> NoReturn:
        tell(RunRefused.because_of(error))
        _end_at_once(answer_to(ClusterUnreachableError).exit_code)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_job(Instructions.from_line(line), _url(), stop, tell, end_lost)
    except LocalRayDiedError as error:
        tell(RunRefused.because_of(error))
        _end_at_once(answer_to(LocalRayDiedError).exit_code)
    except BandstandError as error:
        tell(RunRefused.because_of(error))
        return answer_to(type(error)).exit_code
    except Exception as error:
        logging.getLogger("bandstand_workers").exception("the workers ended")
        tell(RunRefused.because_of(ServiceError(f"the workers ended: {type(error).__name__}: {error}")))
        return answer_to(ServiceError).exit_code
    return 0


def _url() -> str:
    url = database_url()
    if url is None:
        raise InputError(
            "BANDSTAND_DATABASE_URL must be set for `python -m bandstand_workers`; `bandstand run` sets it"
        )
    return url


def _stop_with_caller(stop: StopRequest) -> None:
    """Pause when the caller is gone. If that takes too long, end all the same, which gives the study back, too."""
    while sys.stdin.readline():
        pass
    _write_log_by_itself()
    stop.grace_seconds = _ORPHAN_GRACE_SECONDS
    stop.set()
    time.sleep(_ORPHAN_SECONDS)
    _end_at_once(answer_to(ServiceError).exit_code)


def _write_log_by_itself() -> None:
    """The caller has read this process's standard error, and may be gone: go on in the log's file."""
    with suppress(OSError, KeyError):
        log = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 2)
        os.dup2(log, 1)
        os.close(log)


def _end_at_once(code: int) -> NoReturn:
    """End without a word to Ray, which may be dead and would be waited for. Its processes end with this one."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
