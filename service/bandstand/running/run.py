"""Runs studies: starts a process of workers, watches over it, and gathers what came out.

Knows the store and the workers' process protocol. Must not know Ray or Keras, nor how progress is shown.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandstand.errors import BandstandError, InputError, ServiceError, StudyFailedError
from bandstand.running.child_death import end_of_log, ending_of
from bandstand.running.messages import (
    Ended,
    Job,
    Message,
    Note,
    Refused,
    Running,
    StudyOutcome,
    line_from,
    message_from,
)
from bandstand.settings import bandstand_home, checkpoints_uri, database_url, ray_address
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand.study.study import StudySpec, study_spec_from
from bandstand.study.study_file import default_code_path
from bandstand.study.users_code.code_check import check_files, check_modules, clash_notes
from bandstand.study.users_code.kept_functions import keep_functions, kept_folders
from bandstand.study.users_code.source_check import check_source, source_notes
from bandstand.study.users_code.user_modules import CodePlace, stop_script

if TYPE_CHECKING:
    import pandas as pd

    from bandstand.running.live import Display

__all__ = ["StudyResult", "WorkerProcess", "run_studies", "run_study"]

_POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What came out of a study."""

    name: str
    state: str
    """finished, or stopped: it can be run again to go on."""
    best_params: dict[str, Any]
    best_value: float
    """The objective, on the validation data; NaN if the study was stopped before any trial had one."""
    best_model_path: str | None
    """A .keras file with the weights of the best trial's best epoch; None where it is not there."""
    test_metrics: dict[str, float] | None
    """That model on the test data; None if there are none or the study is not finished."""
    trials: pd.DataFrame = field(repr=False)
    """One row per trial, as `StudyRecord.trials` says."""
    record: StudyRecord = field(repr=False)
    """All that is known of the study."""


def run_study(
    spec: StudySpec | Mapping[str, Any],
    workers: int | None = None,
    *,
    code_path: Sequence[str | Path] | None = None,
    quiet: bool = False,
    data_may_differ: bool = False,
) -> StudyResult:
    """Run a study to its end, or go on with it where it stands.

    Args:
        spec: the study; a dict is read like a study file.
        workers: trainers that work at the same time; as many as the machine or cluster has room for when left out.
        code_path: folders in which workers find the user's modules; the running script's and the current one when
            left out.
        quiet: show no progress.
        data_may_differ: go on where a trainer has other data than the study's first; the study says so.

    Returns:
        The result. A study that was stopped from elsewhere gives one too, with what there is.

    Raises:
        InputError: the study cannot be run as it stands; nothing was written.
        StudyFailedError: every trial failed, or all of the first ones in the same way.
        ServiceError: the workers' process did not do its work; the message names its log.
        KeyboardInterrupt: after the running trials were paused.
    """
    from bandstand.running.live import NoDisplay, make_display

    stop_script("run_study")
    study = spec if isinstance(spec, StudySpec) else study_spec_from(spec, "study")
    folders = [str(Path(folder).absolute()) for folder in code_path or default_code_path()]
    store = Store.open()
    display = NoDisplay() if quiet else make_display(store)
    outcomes = run_studies(
        store,
        [study],
        workers=workers,
        code_path=folders,
        display=display,
        arguments=tuple(sys.argv),
        data_may_differ=data_may_differ,
    )
    outcome = outcomes.get(study.name)
    if outcome is None:
        raise ServiceError(f"study {study.name!r} was stopped before it began: its workers were told to end")
    if outcome.state == "failed":
        raise StudyFailedError(f"study {study.name!r} failed: {outcome.reason}")
    return result_from(store.record(study.name))


def result_from(record: StudyRecord) -> StudyResult:
    """The result that a record holds."""
    best = record.best
    return StudyResult(
        name=record.spec.name,
        state=record.state,
        best_params=best.params if best else {},
        best_value=best.value if best else float("nan"),
        best_model_path=best.model_path if best else None,
        test_metrics=record.best_test_metrics,
        trials=record.trials,
        record=record,
    )


def run_studies(
    store: Store,
    specs: Sequence[StudySpec],
    *,
    workers: int | None,
    code_path: Sequence[str],
    display: Display,
    arguments: Sequence[str] = (),
    data_may_differ: bool = False,
) -> dict[str, StudyOutcome]:
    """Run studies one after the other on the same workers.

    Args:
        store: where they are kept.
        specs: the studies.
        workers: trainers that work at the same time, None for as many as fit.
        code_path: folders in which workers find the user's modules.
        display: is told of everything.
        arguments: the command line of the script that asks, for modules that read it when they are imported.
        data_may_differ: as `run_study`.

    Returns:
        The outcomes, by name, of those that were begun.

    Raises:
        InputError, ServiceError, KeyboardInterrupt: as `run_study`.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1; got {workers}")
    if ray_address() is not None and database_url() is None:
        raise InputError(
            "a study sent to a Ray cluster needs a database that the cluster can reach; RAY_ADDRESS is set and "
            "BANDSTAND_DATABASE_URL is not: set it to a PostgreSQL server, or unset RAY_ADDRESS"
        )
    if ray_address() is not None:
        for spec in specs:
            check_files(spec)
    specs = [keep_functions(spec) for spec in specs]
    finished = {spec.name: _finished(store, spec) for spec in specs if store.check_name(spec)}
    outcomes = {name: outcome for name, outcome in finished.items() if outcome is not None}
    to_run = [spec for spec in specs if spec.name not in outcomes]
    if not to_run:
        return outcomes
    code_path = [*code_path, *kept_folders(to_run)]
    if ray_address() is None:  # a cluster may have modules that this machine has not
        for spec in to_run:
            check_modules(spec, code_path)
            check_source(spec, code_path)
    job = Job(
        specs=tuple(to_run),
        workers=workers,
        code=CodePlace(folders=tuple(code_path), current_folder=str(Path.cwd()), arguments=tuple(arguments)),
        checkpoints_uri=checkpoints_uri(),
        data_may_differ=data_may_differ,
    )
    with display, WorkerProcess.started(job, store.database.url) as process:
        display.starting(to_run)
        for spec in to_run:
            for note in [*clash_notes(spec, code_path), *source_notes(spec, code_path)]:
                display.note(spec.name, note)
        for message in process.messages(display.tick):
            match message:
                case Running():
                    display.running(message.study, message.workers)
                case Note():
                    display.note(message.study, message.message)
                case Ended():
                    outcomes[message.study] = message.outcome
                    display.ended(message.study)
                case Refused():
                    raise _error(message, process.log)
    return outcomes


def _finished(store: Store, spec: StudySpec) -> StudyOutcome | None:
    """The outcome of a study that has nothing left to do."""
    if not store.is_over(spec.name):
        return None
    return StudyOutcome(state="finished", reason=store.progress(spec.name).reason)


def _error(refused: Refused, log: Path) -> BandstandError:
    """The workers' error as one of this process."""
    error = refused.error()
    if isinstance(error, ServiceError):
        return ServiceError(f"{refused.message.splitlines()[0]} (the whole story is in {log})")
    return error


class WorkerProcess:
    """`python -m bandstand_workers` with its pipes. It ends when this process does, whatever way that is."""

    def __init__(self, process: subprocess.Popen[str], log: Path):
        """Use `started`."""
        self.log = log
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._interrupts = 0
        threading.Thread(target=self._read, daemon=True).start()

    @classmethod
    @contextmanager
    def started(cls, job: Job, url: str) -> Iterator[WorkerProcess]:
        """Start it with a job; it has ended when this context has. `url` is a secret and travels by environment."""
        folder = bandstand_home() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"workers-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bandstand_workers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                errors="replace",
                env=workers_environment(job.code) | {"BANDSTAND_DATABASE_URL": url},
            )
        assert process.stdin is not None
        worker = cls(process, log)
        try:
            with suppress(BrokenPipeError):  # it is dead already: `messages` says so
                process.stdin.write(line_from(job))
                process.stdin.flush()
            yield worker
        finally:
            worker.end()

    def messages(self, tick: Callable[[], None]) -> Iterator[Message]:
        """What it says, until it ends; `tick` is called between. Ctrl-C pauses it first, then raises.

        Raises:
            ServiceError: it died without a word.
            KeyboardInterrupt: it was interrupted, and has ended.
        """
        refused = False
        while True:
            try:
                tick()
                line = self._lines.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            except KeyboardInterrupt:
                self.interrupt()
                continue
            if line is None:
                break
            message = message_from(line)
            refused = refused or isinstance(message, Refused)
            yield message
        code = self._process.wait()
        if self._interrupts:
            raise KeyboardInterrupt
        if code and not refused:
            raise ServiceError(
                f"the workers' process {ending_of(code)} and did not say why; the same again goes on; "
                f"{end_of_log(self.log)}"
            )

    def interrupt(self) -> None:
        """Ask it to pause what runs and end; the second time, end it at once."""
        self._interrupts += 1
        if self._interrupts == 1:
            self._process.send_signal(signal.SIGINT)
        else:
            self._process.kill()

    def end(self) -> None:
        """Make sure that it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()  # it takes this as a wish to stop
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                if line.startswith("{"):  # else a library has printed before the channel was there
                    self._lines.put(line)
        finally:
            self._lines.put(None)


def workers_environment(code: CodePlace) -> dict[str, str]:
    """This process's, without the user's folders in PYTHONPATH: workers find the modules there by other means.

    Of what stays, relative folders are made absolute: workers do not stand where this process does.
    """
    environment = dict(os.environ)
    path = [Path(folder).absolute() for folder in environment.pop("PYTHONPATH", "").split(os.pathsep) if folder]
    users = {Path(folder).resolve() for folder in (*code.folders, code.current_folder) if folder is not None}
    kept = [str(folder) for folder in path if folder.resolve() not in users]
    return environment | ({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})
