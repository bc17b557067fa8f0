"""Does for each run what is missing: submit it, keep its log, stop it, settle its end.

Knows the queue, and the cluster by its jobs. Must not know how either is reached, nor wait.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from bandstand.errors import ClusterUnreachableError, InputError, JobRefusedError
from bandstand.locations import JOB_LOGIN
from bandstand.store.job_logins.job_logins import JobLogins, NoLoginError
from bandstand.store.store import Store
from bandstand.study.states import RunState
from bandstand.study.users_code.code_archive import PROJECT_FOLDER
from bandstand.submissions import ServerQueue, SubmissionState
from bandstand.submissions.job_instructions import refuse_job
from bandstand.submissions.server_queue import ClaimedRun
from bandstand.traces import TRACE_PARENT, span
from bandstand_workers.dispatch.job_logs import JobLogs
from bandstand_workers.dispatch.ray_jobs import RayJob, RayJobs

__all__ = ["MAX_LOG_CHARACTERS", "Dispatcher"]

MAX_LOG_CHARACTERS = 10_000_000
"""Kept of each run."""
_PIECE = 200_000
_BEAT_SECONDS = 5.0
_SWEEP_SECONDS = 60.0
_SILENT_SECONDS = 60.0
"""A living coordinator says so every second."""
_LOG_END_SECONDS = 15.0
"""That the end of a log may take to arrive after its job's."""
_SUBMIT_SECONDS = 600.0
"""That the cluster may go on to answer a submission with an error of its own."""
_log = logging.getLogger(__name__)


class Dispatcher:
    """One server's dispatcher.

    Raises, from any method:
        DatabaseUnreachableError, ClusterUnreachableError: nothing is lost by calling again later.
    """

    def __init__(
        self,
        store: Store,
        cluster: RayJobs,
        *,
        logins: JobLogins,
        place: str,
        per_user: int,
        at_once: int,
        stop_grace_seconds: float,
    ):
        """Enter the server.

        Args:
            store: the database.
            cluster: where jobs run.
            logins: the jobs' own, into the database. Where they are not possible, jobs have what the cluster has.
            place: where this process runs, for people.
            per_user: submissions of one user that may run at the same time, on all servers together.
            at_once: submissions that may run at the same time, of this server.
            stop_grace_seconds: that a job has for pausing by itself, before Ray is asked to end it.
        """
        self._store = store
        self._cluster = cluster
        self._logins = logins
        self._per_user = per_user
        self._at_once = at_once
        self._stop_grace_seconds = stop_grace_seconds
        self._dispatch = ServerQueue(store, place)
        self._logs = JobLogs(cluster.tail)
        self._since: dict[tuple[str, str], float] = {}  # (run, what) -> when it was first seen
        self._beat_at = 0.0
        self._freed_at = 0.0
        self._swept_at = time.monotonic() - _SWEEP_SECONDS

    def step(self) -> int:
        """Do what is to be done now; returns how many runs are under way."""
        self._beat()
        self._cluster.check()  # while it is away, whatever waits or is orphaned is for servers that reach one
        for claimed in self._dispatch.adopt():
            _log.info("%s: its server has gone; taken over", claimed.submission.name, extra=_about(claimed))
        held = self._dispatch.held()
        for claimed in held:
            self._attend(claimed)
        number = len(held)
        while number < self._at_once:
            new = self._dispatch.claim(per_user=self._per_user)
            if new is None:
                break
            self._attend(new)
            number += 1
        self._forget_all_but({claimed.run.id for claimed in self._dispatch.held()})
        self._free_vanished()
        self._sweep_logins()
        return number

    def pause(self, timeout_seconds: float) -> None:
        """Have all runs of this server pause, because the cluster ends with it; they are tried again later."""
        for claimed in self._dispatch.held():
            self._cluster.stop(claimed.run.id)
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and (held := self._dispatch.held()):
            for claimed in held:
                if claimed.run.state is not RunState.STARTING:
                    self._attend(claimed)
            time.sleep(0.5)

    def leave(self) -> None:
        """Sign off; jobs go on, and another server takes them over."""
        self._dispatch.leave()

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at > _BEAT_SECONDS:
            self._dispatch.beat()
            self._beat_at = time.monotonic()

    def _free_vanished(self) -> None:
        if time.monotonic() - self._freed_at > _BEAT_SECONDS:
            self._freed_at = time.monotonic()
            for name in self._dispatch.free_vanished(_SILENT_SECONDS):
                _log.info("%s: its coordinator has vanished; the study is free", name, extra={"study": name})

    # -- one run ----------------------------------------------------------------------------------------------------

    def _attend(self, claimed: ClaimedRun) -> None:
        self._beat()
        job = self._cluster.look_up(claimed.run.id)
        if job is None:
            self._attend_unknown(claimed)
        elif job.has_ended:
            self._keep_log(claimed)
            if self._has_whole_log(claimed):
                self._end(claimed, RunState.SUCCEEDED if job.succeeded else RunState.FAILED, job.message)
        else:
            self._attend_living(claimed, job)

    def _attend_unknown(self, claimed: ClaimedRun) -> None:
        """The cluster does not know of it: not yet, or not any more."""
        if claimed.run.state is not RunState.STARTING:
            self._end(claimed, RunState.LOST, "the cluster no longer knows its job")
        elif claimed.submission.state is SubmissionState.STOPPING:
            self._end(claimed, RunState.FAILED, "it was stopped before it started")
        else:
            self._submit(claimed)

    def _submit(self, claimed: ClaimedRun) -> None:
        run, submission = claimed.run, claimed.submission
        try:
            code = self._dispatch.code(submission)
            login = {JOB_LOGIN: self._logins.create(run.id)} if self._logins.are_possible else {}
            with (
                span("dispatch a job", _traced(claimed), kind="producer") as dispatch,
                tempfile.TemporaryDirectory(prefix="bandstand-code-") as folder,
            ):
                parent = dispatch.parent_for_others
                if code is not None:
                    project = Path(folder) / PROJECT_FOLDER
                    project.mkdir()
                    code.unpack(project)
                self._cluster.submit(
                    run.id,
                    folder=None if code is None else Path(folder),
                    metadata={"name": submission.name, "submitter": submission.submitter},
                    environment=login if parent is None else login | {TRACE_PARENT: parent},
                )
        except InputError as error:
            refuse_job(self._store, run.id, str(error))
            self._end(claimed, RunState.FAILED, str(error))
        except NoLoginError as error:
            self._end(claimed, RunState.FAILED, f"its job gets no database login: {error}")
        except JobRefusedError as error:
            self._end(claimed, RunState.FAILED, f"the cluster refuses its job: {error}")
        except ClusterUnreachableError as error:
            self._cluster.check()  # raises if it is away for all; what fails for one job alone must not hold up others
            if not self._has_seen(run.id, "not taken"):
                _log.warning("%s: %s; it is tried again", submission.name, error, extra=_about(claimed))
            if self._seconds_since(run.id, "not taken") > _SUBMIT_SECONDS:
                self._end(claimed, RunState.FAILED, str(error))
        else:
            _log.info("%s: run %d submitted", submission.name, run.number, extra=_about(claimed))
            self._dispatch.submitted(run.id)

    def _attend_living(self, claimed: ClaimedRun, job: RayJob) -> None:
        run = claimed.run
        if run.state is RunState.STARTING:  # an earlier dispatcher came no further
            self._dispatch.submitted(run.id)
        self._keep_log(claimed)
        # A run that is refused and lives has been shut out of the database, where it would read that it is to stop.
        if claimed.submission.state is not SubmissionState.STOPPING and run.state is not RunState.REFUSED:
            return
        if self._seconds_since(run.id, "stopping") > self._stop_grace_seconds:
            what = "waits on the cluster" if job.is_pending else "does not pause by itself"
            _log.info("%s: it %s; Ray is asked to end it", claimed.submission.name, what, extra=_about(claimed))
            self._cluster.stop(run.id)
            self._since[run.id, "stopping"] = time.monotonic()

    def _end(self, claimed: ClaimedRun, state: RunState, message: str | None) -> None:
        after = self._dispatch.end_run(claimed.run.id, state, message or "")
        self._logs.leave(claimed.run.id)
        self._end_login(claimed)
        told = f": {message}" if message else ""
        then = f"{after.state}, {after.outcome}" if after.outcome else f"{after.state}"
        _log.info("%s: run %d %s%s; now %s", after.name, claimed.run.number, state, told, then, extra=_about(claimed))

    def _end_login(self, claimed: ClaimedRun) -> None:
        """Whatever is left of the job gets at the database no more."""
        if self._logins.are_possible:
            try:
                self._logins.drop(claimed.run.id)
            except NoLoginError as error:  # it is swept later
                _log.warning("%s: its database login is still there: %s", claimed.run.id, error, extra=_about(claimed))

    def _sweep_logins(self) -> None:
        """Drop what was left while a server or the database was away; look whether logins can be had by now."""
        if time.monotonic() - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        try:
            if not self._logins.are_possible:
                self._logins.prepare()
                _log.info("from now on each job has a database login of its own")
            for run in self._logins.sweep():
                _log.info("%s has ended; its database login is dropped", run)
        except NoLoginError as error:
            _log.debug("%s", error)  # it was said at the start

    # -- logs -------------------------------------------------------------------------------------------------------

    def _keep_log(self, claimed: ClaimedRun) -> None:
        """Store what is new of a run's log; `claimed` says what is stored already."""
        position = claimed.run.log_characters
        if position >= MAX_LOG_CHARACTERS:
            return
        if not self._has_seen(claimed.run.id, "read to its end"):
            self._logs.follow(claimed.run.id, position)
        text = self._logs.text_from(claimed.run.id, position)[: MAX_LOG_CHARACTERS - position]
        for start in range(0, len(text), _PIECE):
            self._dispatch.append_log(claimed.run.id, position + start, text[start : start + _PIECE])
        if position + len(text) >= MAX_LOG_CHARACTERS:
            note = f"\n… longer than {MAX_LOG_CHARACTERS} characters; the rest is on the cluster only\n"
            self._dispatch.append_log(claimed.run.id, MAX_LOG_CHARACTERS, note)
            self._logs.leave(claimed.run.id)

    def _has_whole_log(self, claimed: ClaimedRun) -> bool:
        """Whether all of an ended job's log is stored, or as much as will be."""
        run = claimed.run
        if run.log_characters >= MAX_LOG_CHARACTERS or self._seconds_since(run.id, "ended") > _LOG_END_SECONDS:
            return True
        if not self._has_seen(run.id, "read to its end"):
            # A stream that was open when the job ended tells the rest; one that broke before is opened again, once.
            self._logs.follow(run.id, run.log_characters)
            self._seconds_since(run.id, "read to its end")
            return False
        if not self._logs.is_over(run.id):
            return False
        return not self._logs.text_from(run.id, run.log_characters)

    # -- what was seen when -----------------------------------------------------------------------------------------

    def _seconds_since(self, run: str, what: str) -> float:
        now = time.monotonic()
        return now - self._since.setdefault((run, what), now)

    def _has_seen(self, run: str, what: str) -> bool:
        return (run, what) in self._since

    def _forget_all_but(self, runs: set[str]) -> None:
        self._logs.leave_all_but(runs)
        self._since = {key: since for key, since in self._since.items() if key[0] in runs}


def _about(claimed: ClaimedRun) -> dict[str, str | int]:
    """What a log line is about, for those who collect logs as JSON."""
    return {"study": claimed.submission.name, "run": claimed.run.number}


def _traced(claimed: ClaimedRun) -> dict[str, str | float | None]:
    """What a span is about."""
    return {"bandstand.study": claimed.submission.name, "bandstand.run": claimed.run.number}
