"""What `bandstand run` does before and after a study is run.

Knows study files and what is said at the end. Must not know how a study is run.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from bandstand.commands.work.printing import print_best
from bandstand.errors import BandstandError, InputError, StudyFailedError, StudyNotFoundError, answer_to
from bandstand.optuna_dashboard.dashboard_notes import DashboardNotes
from bandstand.report.findings.answer import answer_from, remark_for_optuna
from bandstand.running.messages import StudyOutcome
from bandstand.store.patience import patiently
from bandstand.store.store import Store
from bandstand.study.find_study import FoundStudy, find_study

__all__ = ["find_to_run", "say_end", "was_over"]


def find_to_run(file: str, resume: bool) -> tuple[Store, FoundStudy]:
    """The study that is to be run. A mistake in its file is told before the database is asked.

    Raises:
        InputError: it is not there, or its file is wrong.
    """
    is_file = Path(file.partition(":")[0]).suffix in (".toml", ".py")
    found = None
    if is_file or not resume:
        try:
            found = find_study(file)
        except InputError as error:
            raise error if is_file else _with_hint(file, error) from None
    store = Store.open()
    if found is None:
        found = find_study(file, store.spec)
    if resume:
        store.spec(found.spec.name)  # refuses a name that is not there
    return store, found


def _with_hint(name: str, error: InputError) -> InputError:
    """The error; with the way out where a study of this name has begun, which is told only then."""
    try:
        store = Store.open()
        store.spec(name)
    except BandstandError:
        return error
    return InputError(
        f"{name!r} is no study file, but a study that has begun: continue it with `bandstand run "
        f"{shlex.quote(name)} --resume`"
    )


def was_over(store: Store, name: str) -> bool:
    """Whether a study of this name has finished, so that a run of it trains nothing."""
    try:
        return store.is_over(name)
    except StudyNotFoundError:
        return False


def say_end(store: Store, name: str, outcome: StudyOutcome, again: str, *, done_before: bool = False) -> int:
    """Say how a study has ended; returns what the command ends with.

    Args:
        store: where it is kept.
        name: the study's.
        outcome: what it came to.
        again: the command that continues it.
        done_before: it had finished before this command, which has trained nothing.
    """
    overview = patiently(lambda: store.overview(name))
    if outcome.state == "failed":
        typer.echo(f"bandstand: study {name!r} failed: {outcome.reason}", err=True)
        typer.echo(f"`bandstand show {shlex.quote(name)}` lists the failures", err=True)
        return answer_to(StudyFailedError).exit_code
    if outcome.state == "stopped":
        typer.echo(f"stopped; {again} continues where it stopped")
        return 0
    record = patiently(lambda: store.record(name))
    DashboardNotes(store.database.url).put(name, [*answer_from(record), *remark_for_optuna(record)])
    print_best(overview)
    if done_before:
        ended = "" if overview.ended_at is None else f" on {overview.ended_at.astimezone():%Y-%m-%d at %H:%M}"
        typer.echo(f"this study finished{ended}, so nothing was trained; to train anew, give the study a new name")
    typer.echo(f"`bandstand report {shlex.quote(name)} -o report.html` writes the report")
    return 0
