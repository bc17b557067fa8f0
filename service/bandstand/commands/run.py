"""`bandstand run` and `bandstand replay`: running a study on this machine or the cluster that the environment names.

Knows the commands' options and what they say at the end. Must not know how a study is run. Every command imports what
it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandstand.commands.options import DataMayDiffer, StudyName, Trial, Workers
from bandstand.errors import INTERRUPTED, StudyFailedError, answer_to

if TYPE_CHECKING:
    from bandstand.running.messages import StudyOutcome
    from bandstand.store.store import Store
    from bandstand.study.study_file import FoundStudy

__all__ = ["replay", "run"]

StudyFile = Annotated[
    str, typer.Argument(help="study.toml, train.py:study, a built-in study, or with --resume a study's name.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Only go on with a study that is stored already; refuse to make a new one.")
]
ReplayName = Annotated[str | None, typer.Option("--as", help="The new study's name; NAME-replay when left out.")]


def run(
    file: StudyFile, workers: Workers = None, resume: Resume = False, data_may_differ: DataMayDiffer = False
) -> int:
    """Run a study, or go on with it where it stands. Ctrl-C pauses it; the same command goes on."""
    from bandstand.running.live import make_display
    from bandstand.running.run import RunOptions, run_studies

    store, found = _find(file, resume)
    options = RunOptions(workers=workers, code_path=found.code_path, data_may_differ=data_may_differ)
    again = f"`bandstand run {shlex.quote(file)}`"
    try:
        outcomes = run_studies(store, [found.spec], options, make_display(store))
    except KeyboardInterrupt:
        typer.echo(f"paused; {again} goes on where it stopped", err=True)
        return INTERRUPTED
    outcome = outcomes.get(found.spec.name)
    if outcome is None:
        typer.echo(f"stopped before it began; {again} begins", err=True)
        return INTERRUPTED
    return _say_end(store, found.spec.name, outcome, again)


def _find(file: str, resume: bool) -> tuple[Store, FoundStudy]:
    """The study that is to be run. A mistake in its file is told before the database is asked.

    Raises:
        InputError: it is not there, or its file is wrong.
    """
    from bandstand.store.store import Store
    from bandstand.study.study_file import find_study

    is_file = Path(file.partition(":")[0]).suffix in (".toml", ".py")
    found = find_study(file) if is_file or not resume else None
    store = Store.open()
    if found is None:
        found = find_study(file, store.spec)
    if resume:
        store.spec(found.spec.name)  # refuses a name that is not there
    return store, found


def _say_end(store: Store, name: str, outcome: StudyOutcome, again: str) -> int:
    """Say how a study has ended; returns what the command ends with."""
    from bandstand.commands.show import print_best
    from bandstand.optuna_dashboard.dashboard_notes import DashboardNotes
    from bandstand.report.conclusions.answer import answer_from, remark_for_optuna

    record = store.record(name)
    if outcome.state == "failed":
        typer.echo(f"bandstand: study {name!r} failed: {outcome.reason}", err=True)
        typer.echo(f"`bandstand show {shlex.quote(name)}` has the failures", err=True)
        return answer_to(StudyFailedError).exit_code
    if outcome.state == "stopped":
        typer.echo(f"stopped; {again} goes on where it stopped")
        return 0
    DashboardNotes(store.database.url).put(name, [*answer_from(record), *remark_for_optuna(record)])
    print_best(record)
    typer.echo(f"`bandstand report {shlex.quote(name)} -o report.html` writes the report")
    return 0


def replay(
    name: StudyName,
    trial: Trial = None,
    as_name: ReplayName = None,
    workers: Workers = 1,
    data_may_differ: DataMayDiffer = False,
) -> int:
    """Train the schedule of a study's best model once more from fresh weights, as a study beside it."""
    from bandstand.running.live import make_display
    from bandstand.running.messages import StudyOutcome
    from bandstand.running.run import RunOptions, run_studies
    from bandstand.store.reading.schedules import replay_spec
    from bandstand.store.store import Store
    from bandstand.study.study_file import find_study

    store = Store.open()
    spec = replay_spec(store.schedule(name, trial), as_name or f"{name}-replay")
    code_path = find_study(name, store.spec).code_path
    options = RunOptions(workers=workers, code_path=code_path, data_may_differ=data_may_differ)
    try:
        outcomes = run_studies(store, [spec], options, make_display(store))
    except KeyboardInterrupt:
        typer.echo("paused; the same command goes on where it stopped", err=True)
        return INTERRUPTED
    outcome = outcomes.get(spec.name, StudyOutcome(state="stopped", reason="before it began"))
    if outcome.state != "finished":
        typer.echo(f"bandstand: the replay is {outcome.state}: {outcome.reason}", err=True)
        return 1
    for replayed in store.schedule(spec.name).replays:
        if replayed.replay == spec.name:
            typer.echo(replayed.sentence)
    return 0
