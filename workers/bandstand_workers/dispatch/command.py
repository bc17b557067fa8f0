"""`python -m bandstand_workers dispatch`: the dispatcher as a process, which ends with the server that started it.

Knows the environment and the order of starting. Must not import Ray before that environment is complete.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import shlex
import sys

from bandstand.errors import BandstandError, DatabaseUnreachableError, InputError, answer_to
from bandstand.locations import bandstand_home, database_url, ray_job_server
from bandstand.log_lines import begin_logging
from bandstand.store.job_logins.job_logins import JobLogins, NoLoginError
from bandstand.store.store import Store
from bandstand.traces import begin_traces
from bandstand_workers.dispatch.ending import Ending, Patience
from bandstand_workers.dispatch.local_ray import LocalRay
from bandstand_workers.dispatch.lock_watch import LockWatch
from bandstand_workers.dispatch.options import DispatcherOptions
from bandstand_workers.fleet.ray_connection import local_cores

__all__ = ["run_dispatcher"]

_log = logging.getLogger("bandstand_workers.dispatch.command")


def run_dispatcher(arguments: list[str]) -> int:
    """Run until SIGTERM, SIGINT or the end of standard input; returns the exit code."""
    begin_logging("%(asctime)s %(message)s", date_format="%H:%M:%S")
    logging.getLogger("bandstand_workers.dispatch").setLevel(logging.INFO)
    begin_traces("bandstand-dispatcher")
    options = DispatcherOptions.from_arguments(arguments)
    try:
        return _run(options, Ending())
    except BandstandError as error:
        print(f"bandstand: {error}", file=sys.stderr)
        return answer_to(type(error)).exit_code


def _run(options: DispatcherOptions, ending: Ending) -> int:
    address = ray_job_server()
    url = database_url()
    if url is None:
        raise InputError("BANDSTAND_DATABASE_URL must be set for a dispatcher; `bandstand serve` sets it")
    os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"  # users' archives hold what they hold
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    store = _open(url, ending)
    if store is None:
        return 0
    LockWatch(store).start()  # before the first statement that may wait for a job of an earlier server
    logins = find_logins(store)
    if address:
        return _run_loop(options, store, logins, address, "python", ending)
    local = LocalRay.start(bandstand_home(), None if logins.are_possible else url, ending.is_wanted)
    if local is None:
        return 0
    options = dataclasses.replace(options, at_once=options.at_once or local_cores())
    try:
        return _run_loop(options, store, logins, local.address, shlex.quote(sys.executable), ending, local)
    finally:
        local.stop()


def _open(url: str, ending: Ending) -> Store | None:
    patience = Patience(ending)
    while not ending.is_wanted():
        try:
            return Store(url)
        except DatabaseUnreachableError as error:
            patience.failed(error)
    return None


def find_logins(store: Store) -> JobLogins:
    """The logins of jobs. It is said whether they can be had, and why not."""
    logins = JobLogins(store.database)
    try:
        logins.prepare()
    except NoLoginError as error:
        _log.warning(
            "jobs have the server's own database login, so that submitted code may read tokens and keys: %s", error
        )
    else:
        _log.info("each job has a database login of its own")
    return logins


def _run_loop(
    options: DispatcherOptions,
    store: Store,
    logins: JobLogins,
    address: str,
    python: str,
    ending: Ending,
    local: LocalRay | None = None,
) -> int:
    from bandstand_workers.dispatch.loop import Loop
    from bandstand_workers.dispatch.ray_jobs import RayJobs

    cluster = RayJobs(address, python, local.session if local else None)
    return Loop(options, store, logins, cluster, ending, local).run()
