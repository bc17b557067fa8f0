"""Runs studies: starts a process of workers, watches over it, and gathers what came out.

Knows the store and the workers' process protocol. Must not know Ray or Keras, nor how progress is shown.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandstand.errors import (
    BandstandError,
    InputError,
    LocalRayDiedError,
    PassingError,
    ServiceError,
    StudyFailedError,
    UserError,
)
from bandstand.locations import check_port, checkpoints_limit, database_url, ray_address
from bandstand.private_folders import checkpoints_place
from bandstand.running.extras_for_training import require_training
from bandstand.running.live_display import Display, NoDisplay, make_display
from bandstand.running.messages import Instructions, RunRefused, StudyAtRest, StudyNote, StudyOutcome, StudyStarted
from bandstand.running.patient_display import PatientDisplay
from bandstand.running.workers_process import WorkersProcess
from bandstand.store.patience import patiently
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand.study.cost_notes import cost_notes
from bandstand.study.find_study import default_code_path
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.study.users_code.code_check import check_files, check_modules, clash_notes
from bandstand.study.users_code.code_print import code_print
from bandstand.study.users_code.kept_functions import keep_functions, kept_folders
from bandstand.study.users_code.source_check import check_source, source_notes
from bandstand.study.users_code.user_modules import CodePlace, stop_script
from bandstand.trials.code_fingerprint import CodePrint, changed_parts, refusal_of_code

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunOptions", "StudyResult", "run_studies", "run_study"]


_RAY_STARTS = 5
"""How often a local Ray is started for one command, where it does not start or dies."""


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """The result of a study, as `run_study` returns it."""

    name: str
    """Name of the study."""
    state: str
    """`finished`, or `stopped` if the study can be run again to continue it."""
    best_params: dict[str, Any]
    """Params of the best trial by name; empty if no trial has a value."""
    best_value: float
    """Value of the objective for the best trial on the validation data; NaN if no trial has a value."""
    best_model_path: str | None
    """Path of the .keras file with the weights of the best trial's best epoch; None if there is no file."""
    test_metrics: dict[str, float] | None
    """Metrics of that model on the test data by name; None without test data, or if the study is not finished."""
    trials: pd.DataFrame = field(repr=False)
    """One row for each trial, with the columns of `StudyRecord.trials`."""
    record: StudyRecord = field(repr=False)
    """All that is known of the study."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How studies are run."""

    workers: int | None = None
    """Trainers that work at the same time; None for as many as fit."""
    code_path: Sequence[str] = ()
    """Folders in which workers find the user's modules."""
    arguments: Sequence[str] = ()
    """Command line of the calling script, for modules that read it when they are imported."""
    data_may_differ: bool = False
    """Whether the study continues if a trainer has other data than the first one; a note then says so."""
    code_may_differ: bool = False
    """Whether the study continues if its code has changed since it was trained; a note then says so."""


def run_study(
    spec: StudySpec | Mapping[str, Any],
    workers: int | None = None,
    *,
    code_path: Sequence[str | Path] | None = None,
    quiet: bool = False,
    data_may_differ: bool = False,
    code_may_differ: bool = False,
) -> StudyResult:
    """Run a study to its end. A study that has begun continues where it stands.

    Args:
        spec: the study; a dict is read like a study file.
        workers: number of trainers that work at the same time. Default: as many as the machine or cluster has room for.
        code_path: folders with the user's modules. Default: the folder of the running script and the current one.
        quiet: whether to show no progress.
        data_may_differ: whether to continue if a trainer has other data than the first one; a note then says so.
        code_may_differ: whether to continue, or to return the result, if the code of `model`, `data` or `callbacks` has
            changed since the study was trained; a note then says so.

    Returns:
        The result. If another process stops the study, it contains what there is so far.

    Raises:
        MissingExtraError: the packages for training are not installed: `pip install "bandstand[workers]"`.
        InputError: a setting is wrong, and nothing was written.
        StudyFailedError: all trials failed, or all of the first trials failed in the same way.
        ServiceError: the workers' process ended early; the message names its log.
        KeyboardInterrupt: the user pressed Ctrl-C, and the running trials were paused.

    Example:
        >>> from bandstand import run_study
        >>> settings = {"name": "small", "model": "train:build", "data": "train:load", "space": "digits_mlp"}
        >>> result = run_study(settings | {"max_epochs": 9, "budget": {"epochs": 90}}, workers=2)  # doctest: +SKIP
        >>> result.best_model_path  # doctest: +SKIP
        '.../model-attempt-1.keras'
    """
    try:
        return _run_study(spec, workers, code_path, quiet, data_may_differ, code_may_differ)
    except (UserError, PassingError) as error:
        # Its message says all there is to say: a script that does not catch it shows its own line, and the message.
        raise error.with_traceback(None) from None


def _run_study(
    spec: StudySpec | Mapping[str, Any],
    workers: int | None,
    code_path: Sequence[str | Path] | None,
    quiet: bool,
    data_may_differ: bool,
    code_may_differ: bool,
) -> StudyResult:
    stop_script("run_study")
    require_training("run_study")
    study = spec if isinstance(spec, StudySpec) else study_spec_from(spec, "study")
    folders = [str(Path(folder).absolute()) for folder in code_path or default_code_path()]
    options = RunOptions(
        workers=workers, code_path=folders, arguments=tuple(sys.argv), data_may_differ=data_may_differ,
        code_may_differ=code_may_differ,
    )  # fmt: skip
    store = Store.open()
    outcomes = run_studies(store, [study], options, NoDisplay() if quiet else make_display(store))
    return _result(store, study.name, outcomes.get(study.name))


def _result(store: Store, name: str, outcome: StudyOutcome | None) -> StudyResult:
    if outcome is None:
        raise ServiceError(f"study {name!r} was stopped before it started, because its workers were told to end")
    if outcome.state == "failed":
        raise StudyFailedError(f"study {name!r} failed: {outcome.reason}")
    return result_from(patiently(lambda: store.record(name)))


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
    store: Store, specs: Sequence[StudySpec], options: RunOptions, display: Display
) -> dict[str, StudyOutcome]:
    """Run studies one after the other on the same workers.

    Args:
        store: where they are kept.
        specs: the studies.
        options: how.
        display: is told of everything.

    Returns:
        The outcomes, by name, of those that were begun.

    Raises:
        InputError, ServiceError, KeyboardInterrupt: as `run_study`.
    """
    _check_place(options, specs)
    specs = [keep_functions(spec) for spec in specs]
    outcomes = _finished(store, specs)
    code_prints = {spec.name: code_print(spec, options.code_path) for spec in specs}
    if not options.code_may_differ:
        _check_same_code(store, specs, code_prints)
    to_run = [spec for spec in specs if spec.name not in outcomes]
    if not to_run:
        return outcomes
    code_path = [*options.code_path, *kept_folders(to_run)]
    _check_code(to_run, code_path)
    with PatientDisplay(display) as shown:
        shown.starting(to_run)
        for spec in to_run:
            for note in [*cost_notes(spec), *clash_notes(spec, code_path), *source_notes(spec, code_path)]:
                shown.note(spec.name, note)
        for start in itertools.count(1):
            left = [spec for spec in to_run if spec.name not in outcomes]
            with WorkersProcess.started(_job(left, options, code_path, code_prints), store.database.url) as process:
                try:
                    _follow(process, shown, outcomes)
                except LocalRayDiedError as error:
                    if process.is_interrupted:
                        raise KeyboardInterrupt from error
                    if start == _RAY_STARTS:
                        raise
                    again = f"Ray is started again ({start + 1} of {_RAY_STARTS}). No stored epoch is lost"
                    shown.note(left[0].name, f"{str(error).rstrip('.')}. {again}")
                    shown.starting(left)
                else:
                    break
    return outcomes


def _check_place(options: RunOptions, specs: Sequence[StudySpec]) -> None:
    """Refuse what cannot be run where the environment says.

    Raises:
        InputError: no worker, a limit that is no number, a cluster without a database that it can reach, or files that
            only this machine has.
    """
    checkpoints_limit()
    if options.workers is not None and options.workers < 1:
        raise InputError(f"workers must be at least 1; got {options.workers}")
    address = ray_address()
    if address is None:
        return
    check_port(address, "RAY_ADDRESS")
    if database_url() is None:
        raise InputError(
            "a study sent to a Ray cluster needs a database that the cluster can reach; RAY_ADDRESS is set and "
            "BANDSTAND_DATABASE_URL is not: set it to a PostgreSQL server, or unset RAY_ADDRESS"
        )
    for spec in specs:
        check_files(spec)


def _finished(store: Store, specs: Sequence[StudySpec]) -> dict[str, StudyOutcome]:
    """The outcomes of studies that have nothing left to do.

    Raises:
        StudyNameTakenError: a name belongs to a study with another spec.
    """
    there = [spec.name for spec in specs if store.check_name(spec)]
    return {
        name: StudyOutcome(state="finished", reason=store.progress(name).reason)
        for name in there
        if store.is_over(name)
    }


def _check_code(specs: Sequence[StudySpec], code_path: Sequence[str]) -> None:
    """Refuse modules that are not there or whose sources say for certain that they cannot be used.

    Raises:
        InputError: there are some.
    """
    if ray_address() is None:  # a cluster may have modules that this machine has not
        for spec in specs:
            check_modules(spec, code_path)
            check_source(spec, code_path)


def _check_same_code(store: Store, specs: Sequence[StudySpec], code_prints: Mapping[str, CodePrint]) -> None:
    """Refuse studies that were trained with other code: their results would be taken for those of today's.

    Raises:
        InputError: there is one.
    """
    for spec in specs:
        trained = store.trained_code(spec)
        changed = [] if trained is None else changed_parts(trained.code, code_prints[spec.name])
        if trained is not None and changed:
            raise InputError(refusal_of_code(changed, f"study {trained.study!r} was trained"))


def _job(
    specs: Sequence[StudySpec], options: RunOptions, code_path: Sequence[str], code_prints: Mapping[str, CodePrint]
) -> Instructions:
    here = str(Path.cwd())
    return Instructions(
        specs=tuple(specs),
        workers=options.workers,
        code=CodePlace(folders=tuple(code_path), current_folder=here, arguments=tuple(options.arguments)),
        checkpoints_uri=checkpoints_place(),
        data_may_differ=options.data_may_differ,
        code_may_differ=options.code_may_differ,
        code_prints=code_prints,
    )


def _follow(process: WorkersProcess, display: Display, outcomes: dict[str, StudyOutcome]) -> None:
    """Show what the workers tell, until they have ended; the outcomes of studies are added as these come to rest.

    Raises:
        BandstandError: they refused.
        KeyboardInterrupt: they were interrupted.
    """
    for message in process.messages(display.tick):
        match message:
            case StudyStarted():
                display.running(message.study, message.workers)
            case StudyNote():
                display.note(message.study, message.message)
            case StudyAtRest():
                outcomes[message.study] = message.outcome
                display.ended(message.study)
            case RunRefused():
                raise _error(message, process.log)


def _error(refused: RunRefused, log: Path) -> BandstandError:
    """The workers' error as one of this process."""
    error = refused.error()
    if isinstance(error, ServiceError):
        return ServiceError(f"{refused.message.splitlines()[0]} (details are in {log})")
    return error
