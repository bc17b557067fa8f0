"""What `list`, `show`, `best` and `report` do on a server.

Knows what a server tells and how it is printed. Must not know how it is asked.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import typer
from rich.console import Console

from bandstand.client import Client
from bandstand.client.answers import ListedStudy, ListedTrial, StudyDetail, progress_from, record_from, spec_from
from bandstand.commands.work.json_output import print_json
from bandstand.commands.work.printing import print_studies
from bandstand.problem.objective import Objective
from bandstand.report.forms.terminal_tables import make_console, print_table
from bandstand.report.text import counted
from bandstand.running.progress_table import params_text, progress_view
from bandstand.trials.best import ranked_places
from bandstand.trials.events import TrialState

__all__ = ["best", "list_studies", "report", "show"]

_TOP = 10


def list_studies(client: Client, as_json: bool, everything: bool) -> None:
    """As `bandstand list`."""
    studies = list(client.iter_studies())
    if as_json:
        print_json(studies)
        return
    if not studies:
        typer.echo("there are no studies on this server yet; `bandstand submit FILE` submits one")
        return
    listed = [record_from(ListedStudy, study) for study in studies]
    comparisons = {study.comparison for study in listed if study.comparison is not None}
    print_studies(listed, [] if everything else sorted(comparisons))


def show(client: Client, name: str, as_json: bool) -> None:
    """As `bandstand show`."""
    study = client.study(name)
    if as_json:
        print_json(study.detail() | {"trials": list(study.iter_trials())})
        return
    detail = record_from(StudyDetail, study.detail())
    console = Console(soft_wrap=True)
    spec = spec_from(detail.spec)
    progress = progress_from(spec, detail.progress)
    console.print(progress_view(progress, seconds=progress.wall_seconds, seconds_left=None))
    for line in _standing(detail):
        console.print(line, markup=False)
    trials = [record_from(ListedTrial, trial) for trial in study.iter_trials()]
    _print_top(trials, spec.objective)
    for trial in [trial for trial in trials if trial.state is TrialState.FAILED][:_TOP]:
        console.print(f"trial {trial.number} failed: {trial.message or trial.reason}", markup=False)


def _standing(detail: StudyDetail) -> list[str]:
    """Who submitted it, and what became of its jobs."""
    submission = detail.submission
    lines = [f"reason   {detail.reason}"] if detail.reason else []
    if submission is None:
        return [*lines, "started on the command line, not submitted to a server"]
    code = f"code {submission.code[:12]}" if submission.code else "no code of its own"
    workers = counted(submission.workers, "worker") if submission.workers else "as many workers as fit"
    lines.append(f"by       {submission.submitter}, priority {submission.priority}, {workers}, {code}")
    if detail.position:
        lines.append(f"queue    place {detail.position}")
    if submission.message:
        lines.append(f"server   {submission.message}")
    return lines + [
        f"run {run.number}    {run.state}{f': {run.message}' if run.message else ''}" for run in detail.runs[-3:]
    ]


def _print_top(trials: list[ListedTrial], objective: Objective) -> None:
    by_number = {trial.number: trial for trial in trials}
    places = ranked_places(objective, ((trial.state, trial.value, trial.number) for trial in trials))
    if not places:
        return
    rows = [
        (str(trial.number), f"{trial.value:.4f}", str(trial.epochs), trial.state, params_text(trial.params))
        for trial, place in ((by_number[place.number], place) for place in places[:_TOP])
    ]
    print_table(make_console(), ("trial", objective.metric, "epochs", "state", "params"), rows, folded=(4,))


def best(client: Client, name: str, as_json: bool) -> int:
    """As `bandstand best`."""
    study = client.study(name)
    if study.progress.best is None:
        if as_json:
            print_json(None)
        else:
            typer.echo(f"study {name!r} has no trial with a value yet", err=True)
        return 1
    found, objective = study.best, study.spec.objective
    metric = objective.metric
    if as_json:
        print_json(dataclasses.asdict(found) | {"metric": metric, "direction": objective.direction})
        return 0
    typer.echo(
        f"best {metric} {found.value:.4f} ({objective.better}): "
        f"trial {found.number}, {found.state}, epoch {found.epoch} of {found.epochs}"
    )
    if found.seen:
        typer.echo(found.seen_words(objective))
    for parameter, value in found.params.items():
        typer.echo(f"  {parameter} = {value!r}")
    if found.test_metrics:
        typer.echo(f"test result of the chosen model: {params_text(found.test_metrics)}")
    typer.echo(f"model, on the cluster: {found.model_path}" if found.model_path else found.model_words)
    return 0


def report(client: Client, name: str, output: Path, form: str | None) -> None:
    """As `bandstand report`."""
    typer.echo(str(client.find(name).report(output, form)))
