"""Prints a study for people: what `bandstand show` says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from bandstand import stored_files
from bandstand.client.answers import ListedStudy
from bandstand.report.findings.failure_groups import overview_groups
from bandstand.report.forms.terminal_tables import make_console, print_table
from bandstand.report.text import counted
from bandstand.running.progress_table import params_text
from bandstand.store.reading.params_by_epoch import ParamsByEpoch
from bandstand.store.reading.study_list import StudySummary
from bandstand.store.records import StudyFacts, StudyOverview
from bandstand.trials.combination import sentence_on

__all__ = ["print_best", "print_overview", "print_params_by_epoch", "print_studies"]

_FAILED_TRIALS = 8


def print_studies(studies: Sequence[StudySummary | ListedStudy], comparisons: Sequence[str]) -> None:
    """Print a line for each study, in the order given, and one for all studies of each of the comparisons."""
    header = ("study", "state", "trials", "epochs", "best", "metric", "better", "created")
    rows: list[tuple[str, ...]] = []
    members = {name: [study for study in studies if study.name.startswith(f"{name}/")] for name in comparisons}
    home = {study.name: name for name, found in members.items() for study in found}
    shown: set[str] = set()
    for study in studies:
        made = f"{study.created_at.astimezone():%Y-%m-%d %H:%M}"
        comparison = home.get(study.name)
        if comparison is None:
            best = "" if study.best_value is None else f"{study.best_value:.4f}"
            numbers = (str(study.trials), str(study.epochs), best)
            rows.append((study.name, study.state, *numbers, study.metric, _better(study.direction), made))
        elif comparison not in shown:
            shown.add(comparison)
            found = members[comparison]
            finished = sum(each.state == "finished" for each in found)
            trials, epochs = (str(sum(getattr(each, key) for each in found)) for key in ("trials", "epochs"))
            state = f"comparison, {finished}/{len(found)}"
            rows.append((comparison, state, trials, epochs, "", study.metric, _better(study.direction), made))
    print_table(make_console(), header, rows, left=(1, 5, 6, 7))


def _better(direction: str) -> str:
    return "lower" if direction == "minimize" else "higher"


def print_overview(record: StudyOverview, console: Console | None = None) -> None:
    """Print a study's standing, its best trials and its failures."""
    console = console or make_console(soft_wrap=True)
    spec = record.spec
    console.print(Text(f"{spec.name}: {record.state}{f' ({record.reason})' if record.reason else ''}", style="bold"))
    counts = ", ".join(f"{count} {state}" for state, count in record.counts.items()) or "no trials yet"
    console.print(
        f"{spec.strategy_name}, budget {record.budget}; {counts}; {counted(record.epochs, 'epoch')}, "
        f"{record.wall_seconds:.0f} s",
        markup=False,
    )
    for notice in record.notices:
        console.print(Text(f"note: {notice}", style="yellow"))
    _print_requests(record, console)
    if record.test_metrics:
        console.print(_test_result(record, record.test_metrics), markup=False)
    for replayed in record.replays:
        console.print(replayed.sentence, markup=False)
    _print_files(record, console)
    _print_top(record, console)
    _print_failures(record, console)


def print_best(record: StudyOverview) -> None:
    """Print the best trial of a study that has one, and the model that it gives."""
    best = record.best
    assert best is not None
    objective = record.spec.objective
    metric = objective.metric
    typer.echo(
        f"best {metric} {best.value:.4f} ({objective.better}): "
        f"trial {best.number}, {best.state}, epoch {best.epoch} of {best.epochs}"
    )
    if best.seen:
        typer.echo(best.seen_words(objective))
    for name, value in best.params.items():
        typer.echo(f"  {name} = {value!r}")
    if record.best_ancestors:
        typer.echo(
            f"its weights come from {counted(len(record.best_ancestors), 'earlier trial')} with other params; "
            f"`bandstand schedule {shlex.quote(record.spec.name)}` shows them epoch by epoch"
        )
    if record.combined is not None:
        typer.echo(sentence_on(record.combined, metric))
    if record.test_metrics:
        typer.echo(_test_result(record, record.test_metrics))
    elif record.has_test is False:
        typer.echo("not tested, because the data have no test split")
    typer.echo(f"model: {best.model_path}" if best.model_path else best.model_words)
    for replayed in record.replays:
        typer.echo(replayed.sentence)


def _test_result(record: StudyFacts, metrics: Mapping[str, float]) -> str:
    tested = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    return f"test result of {record.tested_model}: {tested} (test data {record.looked_at})"


def _print_requests(record: StudyFacts, console: Console) -> None:
    """Those that were refused, and those that wait for a coordinator."""
    for request in record.requests:
        what = f"{request.kind} {', '.join(f'{name}={value}' for name, value in request.data.items())}"
        by = f" by {request.by}" if request.by else ""
        asked = f"{what}, asked{by} {request.created_at.astimezone():%Y-%m-%d %H:%M}"
        if request.refused:
            console.print(Text(f"refused: {asked}: {request.answer}", style="red"))
        elif request.taken_at is None:
            console.print(Text(f"waiting: {asked}", style="yellow"))


def _print_files(record: StudyFacts, console: Console) -> None:
    """Where the files are that the study's code wrote, if there are any on this machine."""
    if record.best is None or record.best.model_path is None:
        return
    folder = stored_files.users_folder(record.best.model_path.rpartition("/")[0])
    trials = folder.parents[1] if folder.name == "files" else folder.parent
    pattern = f"trial-*/{folder.name}" if folder.name == "files" else "trial-*"
    found = sorted(trials.glob(pattern))
    if found:
        numbers = f"{counted(len(found), 'trial')}"
        console.print(f"files that the study's code wrote in {numbers}: {trials}/{pattern}", markup=False)


def _print_top(record: StudyOverview, console: Console) -> None:
    objective = record.spec.objective
    if not record.top:
        return
    rows = [
        (str(trial.number), f"{trial.value:.4f}", str(trial.epochs), trial.state, params_text(trial.params))
        for trial in record.top
    ]
    first = ", complete trials first" if objective.epoch == "last" else ""
    console.print(Text(f"best trials by {objective.metric} ({objective.better}{first})", style="italic"))
    if record.best is not None and record.best.seen_words(objective):
        console.print(Text(f"note: {record.best.seen_words(objective)}", style="yellow"))
    print_table(console, ("trial", objective.metric, "epochs", "state", "params"), rows, folded=(4,))


def _print_failures(record: StudyOverview, console: Console) -> None:
    groups = overview_groups(record)
    if not groups:
        return
    console.print(Text("failures", style="bold red"))
    for group in groups:
        numbers = ", ".join(str(number) for number in group.trials[:_FAILED_TRIALS])
        more = ", …" if group.count > _FAILED_TRIALS else ""
        which = f"{'trial' if group.count == 1 else 'trials'} {numbers}{more}"
        console.print(Text(f"  {group.count} × {group.words}  ({which})"))
        if group.advice is not None:
            console.print(Text(f"    {group.advice}", style="yellow"))
    if record.other_failures:
        console.print(Text(f"  {record.other_failures} more, with other messages"))


def print_params_by_epoch(found: ParamsByEpoch, console: Console | None = None) -> None:
    """Print what a lineage was trained with: a line for each of its segments, the params where they change."""
    console = console or make_console(soft_wrap=True)
    metric = found.spec.objective.metric
    count = len(found.epochs)
    words = f"{metric} {found.value:.4f} after {counted(count, 'epoch')}"
    console.print(Text(f"{found.spec.name}: how trial {found.trial} reached {words}", style="bold"))
    lines: list[tuple[str, ...]] = []
    before: dict[str, Any] = {}
    first = 1
    for segment in found.segments:
        rows = found.epochs[first - 1 : first - 1 + segment.epochs]
        rates = [row["learning_rate"] for row in rows if row["learning_rate"] is not None]
        params = dict(segment.params)
        changed = {name: value for name, value in params.items() if before.get(name) != value}
        best = " (from its parent's best epoch)" if segment.weights == "best" and before else ""
        span = "" if not rates else f"{rates[0]:.3g}" if rates[0] == rates[-1] else f"{rates[0]:.3g} to {rates[-1]:.3g}"
        epochs = str(first) if segment.epochs == 1 else f"{first} to {first + segment.epochs - 1}"
        lines.append((epochs, str(segment.trial), span, (params_text(changed) or "as before") + best))
        before, first = params, first + segment.epochs
    header = ("epochs", "trial", "learning rate", "params (first all, then changes)")
    print_table(console, header, lines, folded=(3,), left=(0, 2))
    for replayed in found.replays:
        console.print(replayed.sentence, markup=False)
    console.print(
        "`-o FILE.json` or `-o FILE.csv` writes every epoch; `bandstand replay` trains the model again", markup=False
    )
