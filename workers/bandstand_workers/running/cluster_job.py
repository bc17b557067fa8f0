"""The driver of a server's job on the Ray cluster: it reads its order from the database and runs it.

Knows the run it is, and what its end means to whoever reads its exit code: 0, all is done or was stopped; 143, it
paused because of SIGTERM; else what `answer_to` says of its error. Input that is refused is so for good, all else may
be tried again. What it prints is the job's log.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn, TextIO, cast

from bandstand.errors import (
    BandstandError,
    ClusterUnreachableError,
    DatabaseUnreachableError,
    InputError,
    InternalError,
    StudyFailedError,
    answer_to,
)
from bandstand.locations import JOB_LOGIN, database_url
from bandstand.log_lines import begin_logging, line_about
from bandstand.private_folders import checkpoints_place
from bandstand.running.bounded_log import BoundedText
from bandstand.running.live_display import PlainDisplay
from bandstand.running.messages import Instructions, Message, StudyAtRest, StudyNote, StudyStarted
from bandstand.store.job_logins.taking_up import has_password, take_up_login
from bandstand.store.store import Store
from bandstand.study.users_code.code_archive import PROJECT_FOLDER
from bandstand.study.users_code.code_print import code_print
from bandstand.study.users_code.user_modules import CodePlace
from bandstand.submissions.job_instructions import JobInstructions, begin_job, must_stop, refuse_job
from bandstand_workers.running.stop_request import StopRequest

__all__ = ["run_cluster_job"]

_LOOK_SECONDS = 1.0
_STOP_GRACE_SECONDS = 40.0
"""What trials may take to come to the end of their epochs; Ray ends a job that is stopped after 60 s."""
_LOG_CHARACTERS = 20_000_000
"""That a job may print. The server keeps half as many."""
_TERMINATED = 128 + signal.SIGTERM
_log = logging.getLogger(__name__)


def run_cluster_job(run: str) -> int:
    """Run the studies of a run; returns the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stdout = cast(TextIO, BoundedText(sys.stdout, _LOG_CHARACTERS))  # Ray keeps it in one file on the head node
    begin_logging("%(asctime)s %(name)s %(message)s", stream=sys.stdout)
    try:
        store = Store(_own_url())
        return _ClusterJob(store, run, begin_job(store, run)).run()
    except BandstandError as error:
        _say_refusal(error)
        return answer_to(type(error)).exit_code
    except Exception:  # noqa: BLE001  # the job's log and exit code are all that anybody sees of it
        _log.exception("the job ended")
        return answer_to(InternalError).exit_code


def _own_url() -> str:
    """The URL by which this job gets into the database. It leaves the environment, which the user's code reads."""
    nodes, login = database_url(), os.environ.pop(JOB_LOGIN, None)
    os.environ.pop("BANDSTAND_DATABASE_URL", None)
    if login is not None:
        if nodes is not None and has_password(nodes):
            _say(
                "BANDSTAND_DATABASE_URL on the Ray head has a password that any job can read, and no job needs it: "
                "remove it there, or remove user and password from it",
                level="warning",
            )
        return take_up_login(login, nodes)
    if nodes is None:
        raise InputError(
            "a job must get into the database; the server gives it no login of its own, and BANDSTAND_DATABASE_URL is "
            "not set on the Ray head: set it there, or do what `bandstand serve` says at its start"
        )
    return nodes


def _end_lost(error: ClusterUnreachableError) -> NoReturn:
    """The cluster is lost: end without Ray's help, which may be waited for."""
    _say_refusal(error)
    os._exit(answer_to(ClusterUnreachableError).exit_code)


def _say(message: str, *, level: str = "info", text: str | None = None) -> None:
    """Write a line into the job's log."""
    print(line_about(message, logger=__name__, level=level, text=text), flush=True)


def _say_refusal(error: BandstandError) -> None:
    _say(str(error), level="error", text=f"bandstand: {error}")


class _ClusterJob:
    """One run, from its order to its exit code."""

    def __init__(self, store: Store, run: str, order: JobInstructions):
        self._store = store
        self._run = run
        self._order = order
        self._display = PlainDisplay(store)
        self._drawing = threading.Lock()
        self._stop = StopRequest()
        self._stop.grace_seconds = _STOP_GRACE_SECONDS
        self._over = threading.Event()
        self._terminated = False
        self._failed = False
        self._study: str | None = None  # that runs
        self._refusal: BandstandError | None = None

    def run(self) -> int:
        from bandstand_workers.running.runner import run_job

        if not self._order.specs:
            _say("there is nothing left to do")
            return 0
        job = Instructions(
            specs=tuple(self._order.specs),
            workers=self._order.workers,
            # Each of its processes begins in a copy of the job's working directory, which holds the project.
            code=CodePlace(folders=(PROJECT_FOLDER,), current_folder=PROJECT_FOLDER),
            checkpoints_uri=checkpoints_place(),
            labels=self._order.labels,
            data_may_differ=self._order.data_may_differ,
            code_may_differ=True,  # the job has one copy, which whoever gave it new code has chosen
            code_prints={spec.name: code_print(spec, [PROJECT_FOLDER]) for spec in self._order.specs},
        )
        self._obey_signals()
        self._draw(lambda: self._display.starting(self._order.specs))
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            run_job(job, self._store.database.url, self._stop, self._tell, _end_lost)
        except BandstandError as error:
            self._refusal = error
            self._show_end(self._study)
        finally:
            self._over.set()
        return self._exit_code()

    def _exit_code(self) -> int:
        if self._refusal is not None:
            _say_refusal(self._refusal)
            if isinstance(self._refusal, InputError):
                refuse_job(self._store, self._run, str(self._refusal))
            return answer_to(type(self._refusal)).exit_code
        if self._terminated:
            return _TERMINATED
        return answer_to(StudyFailedError).exit_code if self._failed else 0

    def _tell(self, message: Message) -> None:
        """Hear of the studies' milestones; called by `run_job`, in the main thread."""
        self._obey_signals()  # Ray has set a handler of its own meanwhile
        match message:
            case StudyStarted(study=name, workers=workers):
                self._study = name
                self._draw(lambda: self._display.running(name, workers))
            case StudyNote(study=name, message=note):
                self._draw(lambda: self._display.note(name, note))
            case StudyAtRest(study=name, outcome=outcome):
                self._show_end(name)
                self._failed = self._failed or outcome.state == "failed"
                if outcome.state == "stopped":  # whoever stops a study of a comparison, stops its job
                    self._stop.set()

    def _show_end(self, study: str | None) -> None:
        """Say what a study has come to, if one has run."""
        self._study = None
        if study is not None:
            self._draw(lambda: self._display.ended(study))

    def _watch(self) -> None:
        """Print what has happened, and look whether to stop, until the run is over."""
        while not self._over.wait(_LOOK_SECONDS):
            self._draw(self._display.tick)
            try:
                if must_stop(self._store, self._run):
                    self._stop.set()
            except DatabaseUnreachableError:
                continue  # the coordinator has its own ways of waiting

    def _draw(self, draw: Callable[[], object]) -> None:
        """Print with the database's help, if it is there: a job does not die of what it could not print."""
        with self._drawing:
            try:
                draw()
            except BandstandError as error:
                _log.warning("%s", error)

    def _obey_signals(self) -> None:
        def pause(*_: object) -> None:
            self._terminated = True
            self._stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pause)
