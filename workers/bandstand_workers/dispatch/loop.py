"""Steps of a dispatcher, one after the other, with waiting between them.

Knows what is waited for, and what being away means. Must not know what a step does. Ray reads the environment when it
is imported, so this module is imported once that is complete.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import time

from bandstand.errors import PassingError
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.store import Store
from bandstand_workers.dispatch.dispatcher import Dispatcher
from bandstand_workers.dispatch.ending import Ending, Patience
from bandstand_workers.dispatch.local_ray import LocalRay
from bandstand_workers.dispatch.options import DispatcherOptions
from bandstand_workers.dispatch.queue_watch import QueueWatch
from bandstand_workers.dispatch.ray_jobs import RayJobs

__all__ = ["Loop"]

_BUSY_SECONDS = 1.0
"""Between two looks at runs that are under way."""
_IDLE_SECONDS = 5.0
_PAUSE_SECONDS = 30.0
"""That jobs have for pausing before a local Ray ends."""
_MANY = 10_000
_log = logging.getLogger(__name__)


class Loop:
    """A dispatcher at work."""

    def __init__(
        self,
        options: DispatcherOptions,
        store: Store,
        logins: JobLogins,
        cluster: RayJobs,
        ending: Ending,
        local: LocalRay | None = None,
    ):
        """`local` is the Ray that is ours and ends with this process, if there is one; `logins` as of `Dispatcher`."""
        self._options = options
        self._store = store
        self._logins = logins
        self._cluster = cluster
        self._ending = ending
        self._local = local
        self._dispatcher: Dispatcher | None = None

    def run(self) -> int:
        """Until the end is wanted; returns the exit code."""
        watch = QueueWatch(self._store)
        self._ending.wakes(watch.wake)
        patience = Patience(self._ending)
        while not self._ending.is_wanted():
            try:
                under_way = self._enter().step()
            except PassingError as error:
                if self._local is not None and not self._local.is_alive():
                    _log.warning("the local Ray has died")
                    self._leave(pause=False)
                    return 1  # the server starts another dispatcher, and that another Ray
                patience.failed(error)
                continue
            patience.succeeded()
            if self._local is not None:
                self._local.close_folder()
            _wait(watch, _BUSY_SECONDS if under_way else _IDLE_SECONDS)
        self._leave(pause=self._local is not None)
        return 0

    def _enter(self) -> Dispatcher:
        if self._dispatcher is None:
            self._dispatcher = Dispatcher(
                self._store,
                self._cluster,
                logins=self._logins,
                place=f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}",
                per_user=self._options.per_user,
                at_once=self._options.at_once or _MANY,
                stop_grace_seconds=self._options.stop_grace_seconds,
            )
        return self._dispatcher

    def _leave(self, *, pause: bool) -> None:
        if self._dispatcher is None:
            return
        try:
            if pause:
                self._dispatcher.pause(_PAUSE_SECONDS)
            self._dispatcher.leave()
        except PassingError as error:
            _log.warning("%s; leaving without a word", error)  # others will notice


def _wait(watch: QueueWatch, seconds: float) -> None:
    """Until the queue changes or the time is over; a busy queue does not make a busy loop."""
    began = time.monotonic()
    watch.wait(seconds)
    time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
