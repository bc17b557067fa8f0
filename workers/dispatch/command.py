"""`python -m workers dispatch`: the dispatcher as a process, which ends with the server that started it.

Knows the environment, signals and patience. Must not know what a step does.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.errors import BandstandError, DatabaseUnreachableError, InputError
from service.settings import bandstand_home, database_url, ray_address
from service.store import Store
from workers.fleet import local_cores

if TYPE_CHECKING:
    from workers.dispatch.dispatcher import Dispatcher
    from workers.dispatch.local_ray import LocalRay
    from workers.dispatch.queue_watch import QueueWatch

__all__ = ["run_dispatcher"]

_BUSY_SECONDS = 1.0
"""Between two looks at runs that are under way."""
_IDLE_SECONDS = 5.0
_AWAY_SECONDS = (1.0, 10.0)
"""After the first failure to reach database or cluster, doubled with each further one; and the most."""
_MANY = 10_000
_log = logging.getLogger(__name__)


def run_dispatcher(arguments: list[str]) -> int:
    """Run until SIGTERM, SIGINT or the end of standard input; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("workers.dispatch").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m workers dispatch")
    parser.add_argument("--per-user", type=int, default=4)
    parser.add_argument("--at-once", type=int)
    options = parser.parse_args(arguments)
    ending = _Ending()
    try:
        return _run(options, ending)
    except BandstandError as error:
        print(f"bandstand: {error}", file=sys.stderr)
        return error.exit_code


class _Ending:
    """Whether this process is to end; whoever waits for something else is woken."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._wakes: list[Callable[[], None]] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._end())
        threading.Thread(target=self._follow_parent, daemon=True).start()

    def is_wanted(self) -> bool:
        return self._wanted.is_set()

    def wait(self, seconds: float) -> None:
        self._wanted.wait(seconds)

    def wakes(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def _end(self) -> None:
        self._wanted.set()
        for wake in self._wakes:
            wake()

    def _follow_parent(self) -> None:
        while os.read(0, 4096):
            pass
        self._end()


class _Patience:
    """Waits longer each time that something is away, and says so once."""

    def __init__(self, ending: _Ending):
        self._ending = ending
        self._failures = 0

    def failed(self, error: BandstandError) -> None:
        if self._failures == 0:
            _log.warning("%s; waiting", error)
        first, most = _AWAY_SECONDS
        self._ending.wait(min(most, first * 2**self._failures))
        self._failures = min(self._failures + 1, 10)

    def succeeded(self) -> None:
        if self._failures:
            _log.warning("going on")
        self._failures = 0


def _run(options: argparse.Namespace, ending: _Ending) -> int:
    address = os.environ.get("RAY_API_SERVER_ADDRESS")
    if not address and ray_address() is not None:
        raise InputError(
            f"a server needs its cluster's job server; RAY_ADDRESS is {ray_address()!r} and RAY_API_SERVER_ADDRESS is "
            "not set: set it to http://HEAD:8265, or unset both for a local Ray"
        )
    url = database_url()
    if url is None:
        raise InputError("BANDSTAND_DATABASE_URL must be set for a dispatcher; `bandstand serve` sets it")
    os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"  # users' archives hold what they hold
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    store = _open(url, ending)
    if store is None:
        return 0
    if address:
        return _serve(store, address, "python", options.per_user, options.at_once or _MANY, None, ending)
    from workers.dispatch.local_ray import LocalRay

    local = LocalRay.start(bandstand_home(), url, ending.is_wanted)
    if local is None:
        return 0
    try:
        at_once = options.at_once or local_cores()
        return _serve(store, local.address, sys.executable, options.per_user, at_once, local, ending)
    finally:
        local.stop()


def _open(url: str, ending: _Ending) -> Store | None:
    patience = _Patience(ending)
    while not ending.is_wanted():
        try:
            return Store(url)
        except DatabaseUnreachableError as error:
            patience.failed(error)
    return None


def _serve(
    store: Store, address: str, python: str, per_user: int, at_once: int, local: LocalRay | None, ending: _Ending
) -> int:
    from workers.dispatch.cluster import Cluster, ClusterAwayError
    from workers.dispatch.dispatcher import Dispatcher
    from workers.dispatch.queue_watch import QueueWatch

    watch = QueueWatch(store)
    ending.wakes(watch.wake)
    patience = _Patience(ending)
    dispatcher: Dispatcher | None = None
    place = f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
    while not ending.is_wanted():
        try:
            if dispatcher is None:
                dispatcher = Dispatcher(
                    store, Cluster(address, python), place=place, per_user=per_user, at_once=at_once
                )
            under_way = dispatcher.step()
        except (DatabaseUnreachableError, ClusterAwayError) as error:
            if local is not None and not local.is_alive():
                _log.warning("the local Ray has died")
                return 1  # the server starts another dispatcher, and that another Ray
            patience.failed(error)
            continue
        patience.succeeded()
        _wait(watch, _BUSY_SECONDS if under_way else _IDLE_SECONDS)
    if dispatcher is not None:
        _leave(dispatcher)
    return 0


def _wait(watch: QueueWatch, seconds: float) -> None:
    """Until the queue changes or the time is over; a busy queue does not make a busy loop."""
    began = time.monotonic()
    watch.wait(seconds)
    time.sleep(max(0.0, min(0.1, 0.1 - (time.monotonic() - began))))


def _leave(dispatcher: Dispatcher) -> None:
    try:
        dispatcher.leave()
    except DatabaseUnreachableError:
        pass  # others will notice
