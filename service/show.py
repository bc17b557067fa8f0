"""Prints a study for people: what `bandstand show` says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.live import params_text

if TYPE_CHECKING:
    from service.client.answers import ListedStudy
    from service.schedules import Schedule
    from service.study_list import StudySummary
    from service.views import StudyRecord

__all__ = ["make_console", "print_record", "print_schedule", "studies_table"]

_TOP = 10
_PIPE_WIDTH = 160
"""Columns of a table that goes into a file or another program."""


def make_console(**options: Any) -> Console:
    """The terminal, or what standard output goes into instead, wide enough for tables."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, **options)


def studies_table(studies: Sequence[StudySummary | ListedStudy], comparisons: Sequence[str]) -> Table:
    """A line for each study, in the order given, and one for all studies of each of the comparisons."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("study", "state", "trials", "epochs", "best", "metric", "made"):
        table.add_column(column, justify="right" if column in ("trials", "epochs", "best") else "left", overflow="fold")
    members = {name: [study for study in studies if study.name.startswith(f"{name}/")] for name in comparisons}
    home = {study.name: name for name, found in members.items() for study in found}
    shown: set[str] = set()
    for study in studies:
        made = f"{study.created_at.astimezone():%Y-%m-%d %H:%M}"
        comparison = home.get(study.name)
        if comparison is None:
            best = "" if study.best_value is None else f"{study.best_value:.4f}"
            table.add_row(study.name, study.state, str(study.trials), str(study.epochs), best, study.metric, made)
        elif comparison not in shown:
            shown.add(comparison)
            found = members[comparison]
            finished = sum(each.state == "finished" for each in found)
            trials, epochs = (str(sum(getattr(each, key) for each in found)) for key in ("trials", "epochs"))
            state = f"comparison, {finished}/{len(found)}"
            table.add_row(comparison, state, trials, epochs, "", study.metric, made)
    return table


def print_record(record: StudyRecord, console: Console | None = None) -> None:
    """Print a study's standing, its best trials and its failures."""
    console = console or Console(soft_wrap=True)
    spec, trials = record.spec, record.trials
    console.print(Text(f"{spec.name}: {record.state}{f' ({record.reason})' if record.reason else ''}", style="bold"))
    states = trials["state"].value_counts().to_dict()
    counts = ", ".join(f"{count} {state}" for state, count in states.items()) or "no trials yet"
    console.print(
        f"{spec.strategy_name}, budget {record.budget}; {counts}; {int(trials['epochs'].sum())} epochs, "
        f"{record.wall_seconds:.0f} s",
        markup=False,
    )
    for notice in record.notices:
        console.print(Text(f"note: {notice}", style="yellow"))
    _print_requests(record, console)
    if record.test_metrics:
        tested = ", ".join(f"{name} {value:.4f}" for name, value in record.test_metrics.items())
        console.print(f"test data, {record.looked_at}, for the chosen model: {tested}", markup=False)
    for replayed in record.replays:
        console.print(replayed.sentence, markup=False)
    _print_top(record, console)
    _print_failures(record, console)


def _print_requests(record: StudyRecord, console: Console) -> None:
    """Those that were refused, and those that wait for a coordinator."""
    for request in record.requests:
        what = f"{request.kind} {', '.join(f'{name}={value}' for name, value in request.data.items())}"
        by = f" by {request.by}" if request.by else ""
        asked = f"{what}, asked{by} {request.created_at.astimezone():%Y-%m-%d %H:%M}"
        if request.refused:
            console.print(Text(f"refused: {asked}: {request.answer}", style="red"))
        elif request.taken_at is None:
            console.print(Text(f"waits: {asked}", style="yellow"))


def _print_top(record: StudyRecord, console: Console) -> None:
    trials, objective = record.trials, record.spec.objective
    ended = trials[trials["state"].isin(["complete", "pruned"]) & trials["value"].notna()]
    if ended.empty:
        return
    rank = (ended["state"] != "complete").astype(int)
    order = ended.assign(_rank=rank, _loss=ended["value"] * objective.sign).sort_values(["_rank", "_loss", "number"])
    names = [name for name, _, _ in record.spec.space.flat()]
    table = Table(
        box=None, padding=(0, 2), header_style="dim", title=f"the best {min(_TOP, len(order))}, complete first"
    )
    table.title_justify = "left"
    for column in ("trial", objective.metric, "epochs", "state"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("params", overflow="fold")
    for _, trial in order.head(_TOP).iterrows():
        params = {name: trial[f"params_{name}"] for name in names}
        table.add_row(
            str(trial["number"]), f"{trial['value']:.4f}", str(trial["epochs"]), trial["state"], params_text(params)
        )
    console.print(table)


def _print_failures(record: StudyRecord, console: Console) -> None:
    failed = record.trials[record.trials["state"] == "failed"]
    if failed.empty:
        return
    console.print(Text("failures", style="bold red"))
    for message, group in failed.groupby("message"):
        numbers = ", ".join(str(number) for number in group["number"].head(8))
        more = ", …" if len(group) > 8 else ""
        console.print(Text(f"  {len(group)} × {message}  (trials {numbers}{more})"))


def print_schedule(schedule: Schedule, console: Console | None = None) -> None:
    """Print what a lineage was trained with: a line for each of its segments, the params where they change."""
    console = console or make_console(soft_wrap=True)
    metric = schedule.spec.objective.metric
    count = len(schedule.epochs)
    words = f"{metric} {schedule.value:.4f} after {count} epoch{'' if count == 1 else 's'}"
    console.print(Text(f"{schedule.spec.name}: how trial {schedule.trial} came to {words}", style="bold"))
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("epochs", "trial", "learning rate"):
        table.add_column(column, no_wrap=True, justify="right" if column == "trial" else "left")
    table.add_column("params, then what changed", overflow="fold")
    before: dict[str, Any] = {}
    first = 1
    for segment in schedule.segments:
        rows = schedule.epochs[first - 1 : first - 1 + segment.epochs]
        rates = [row["learning_rate"] for row in rows if row["learning_rate"] is not None]
        params = dict(segment.params)
        changed = {name: value for name, value in params.items() if before.get(name) != value}
        best = " (from its parent's best epoch)" if segment.weights == "best" and before else ""
        table.add_row(
            str(first) if segment.epochs == 1 else f"{first} to {first + segment.epochs - 1}",
            str(segment.trial),
            "" if not rates else f"{rates[0]:.3g}" if rates[0] == rates[-1] else f"{rates[0]:.3g} to {rates[-1]:.3g}",
            (params_text(changed) or "as before") + best,
        )
        before, first = params, first + segment.epochs
    console.print(table)
    for replayed in schedule.replays:
        console.print(replayed.sentence, markup=False)
    console.print("`-o FILE.json` or `-o FILE.csv` has every epoch; `bandstand replay` trains it again", markup=False)
