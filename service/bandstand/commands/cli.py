"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandstand.commands.compare import DataMayDiffer, compare
from bandstand.commands.internals import UsageError
from bandstand.commands.options import Workers
from bandstand.commands.report import check_folder, figure, report
from bandstand.commands.requests import enqueue, extend
from bandstand.commands.serve import serve
from bandstand.commands.server.asking import delete, resume
from bandstand.commands.server.choice import also_on_server
from bandstand.commands.server.login import login, logout
from bandstand.commands.server.submitting import logs, submit, submit_comparison, watch
from bandstand.commands.simulate import simulate
from bandstand.commands.token import token
from bandstand.errors import INTERRUPTED, BandstandError, InputError, StudyFailedError, answer_to
from bandstand.report.text import counted

if TYPE_CHECKING:
    from bandstand.store.records import StudyRecord
    from bandstand.trials.best import BestTrial

__all__ = ["app", "main"]

app = typer.Typer(
    name="bandstand",
    help="Hyperparameter optimization for Keras: Optuna studies in PostgreSQL, trained by Ray workers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
database = typer.Typer(name="db", help="The database's schema.", no_args_is_help=True)
app.add_typer(database)
app.add_typer(token)
app.command()(compare)
app.command()(simulate)
app.command()(also_on_server("asking:extend")(extend))
app.command()(also_on_server("asking:enqueue")(enqueue))
app.command()(also_on_server("looking:report")(report))
app.command()(figure)
app.command()(serve)
for server_command in (submit, submit_comparison, watch, logs, resume, delete, login, logout):
    app.command()(server_command)

Name = Annotated[str, typer.Argument(help="The study's name, as `bandstand list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]


def main() -> None:
    """Entry point: every error a user can cause is one line on standard error."""
    try:
        code = app(standalone_mode=False)
    except BandstandError as error:
        typer.echo(f"bandstand: {error}", err=True)
        sys.exit(answer_to(type(error)).exit_code)
    except UsageError as error:
        where = error.ctx.command_path if error.ctx else "bandstand"
        message = error.format_message().rstrip(".")
        if message:  # empty where the help was printed instead
            typer.echo(f"bandstand: {message}; see `{where} --help`", err=True)
        sys.exit(answer_to(InputError).exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"bandstand {version('bandstand')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Hyperparameter optimization for Keras: Optuna studies in PostgreSQL, trained by Ray workers."""


@app.command()
def run(
    file: Annotated[
        str, typer.Argument(help="study.toml, train.py:study, a built-in study, or with --resume a study's name.")
    ],
    workers: Workers = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Only go on with a study that is stored already; refuse to make a new one."),
    ] = False,
    data_may_differ: DataMayDiffer = False,
) -> int:
    """Run a study, or go on with it where it stands. Ctrl-C pauses it; the same command goes on."""
    from bandstand.running.live import make_display
    from bandstand.running.run import run_studies
    from bandstand.store.store import Store
    from bandstand.study.study_file import find_study

    is_file = Path(file.partition(":")[0]).suffix in (".toml", ".py")
    found = find_study(file) if is_file or not resume else None
    store = Store.open()
    if found is None:
        found = find_study(file, store.spec)
    if resume:
        store.spec(found.spec.name)  # refuses a name that is not there
    try:
        outcomes = run_studies(
            store, [found.spec], workers=workers, code_path=found.code_path, display=make_display(store),
            data_may_differ=data_may_differ,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(f"paused; `bandstand run {shlex.quote(file)}` goes on where it stopped", err=True)
        return INTERRUPTED
    outcome = outcomes.get(found.spec.name)
    if outcome is None:
        typer.echo(f"stopped before it began; `bandstand run {shlex.quote(file)}` begins", err=True)
        return INTERRUPTED
    record = store.record(found.spec.name)
    if outcome.state == "failed":
        typer.echo(f"bandstand: study {found.spec.name!r} failed: {outcome.reason}", err=True)
        typer.echo(f"`bandstand show {shlex.quote(found.spec.name)}` has the failures", err=True)
        return answer_to(StudyFailedError).exit_code
    if outcome.state == "stopped":
        typer.echo(f"stopped; `bandstand run {shlex.quote(file)}` goes on where it stopped")
        return 0
    from bandstand.optuna_tables.dashboard_notes import DashboardNotes
    from bandstand.report.conclusions.answer import answer_from, remark_for_optuna

    DashboardNotes(store.database.url).put(found.spec.name, [*answer_from(record), *remark_for_optuna(record)])
    _print_best(record)
    typer.echo(f"`bandstand report {shlex.quote(found.spec.name)} -o report.html` writes the report")
    return 0


@app.command()
def demo(workers: Workers = None) -> int:
    """Tune a model of handwritten digits, compare with random search, write a report."""
    from bandstand.commands.demo import run_demo

    try:
        report = run_demo(workers)
    except KeyboardInterrupt:
        typer.echo("paused; `bandstand demo` goes on where it stopped", err=True)
        return INTERRUPTED
    typer.echo(str(report))
    return 0


@app.command(name="list")
@also_on_server("looking:list_studies")
def list_studies(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="The studies of comparisons, too.")] = False,
) -> None:
    """All studies in the database, the newest first; a comparison's are one line."""
    from bandstand.commands.show import print_studies
    from bandstand.store.store import Store

    store = Store.open()
    studies = store.studies()
    if as_json:
        _print_json([vars(study) for study in studies])
        return
    if not studies:
        typer.echo("there are no studies yet; `bandstand run digits_mlp` makes one")
        return
    print_studies(studies, [] if everything else store.plans.names())


@app.command()
@also_on_server("looking:show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Where a study stands: its best trials, what was pruned, what failed and why."""
    from bandstand.store.store import Store

    record = Store.open().record(name)
    if as_json:
        _print_json(_json_from(record))
        return
    from bandstand.commands.show import print_record

    print_record(record)


@app.command()
@also_on_server("looking:best")
def best(name: Name, as_json: AsJson = False) -> int:
    """The best params, their value and the model's path."""
    from bandstand.store.store import Store

    record = Store.open().record(name)
    if as_json:
        _print_json(_best_json(record))
        return 0 if record.best else 1
    if record.best is None:
        typer.echo(f"study {name!r} has no trial with a value yet", err=True)
        return 1
    _print_best(record)
    return 0


@app.command()
def export(
    name: Name, output: Annotated[Path, typer.Option("--output", "-o", help="A .csv or .parquet file.")]
) -> None:
    """Write a study's trials as CSV or Parquet."""
    from bandstand.store.store import Store

    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"the file must end in .csv or .parquet; got {output.name!r}")
    check_folder(output, "file")
    trials = Store.open().record(name).trials
    if output.suffix == ".csv":
        trials.to_csv(output, index=False)
    else:
        trials.to_parquet(output, index=False)
    typer.echo(f"{output}: {len(trials)} trials")


@app.command()
def schedule(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="The trial; the best one when left out.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .json or .csv file to write.")] = None,
) -> None:
    """What the best model was trained with, epoch by epoch, from fresh weights along all its ancestors."""
    from bandstand.commands.show import print_schedule
    from bandstand.store.reading.schedules import write_schedule
    from bandstand.store.store import Store

    if output is not None:
        check_folder(output, "file")
    found = Store.open().schedule(name, trial)
    if output is None:
        print_schedule(found)
        return
    write_schedule(found, output)
    typer.echo(f"{output}: {len(found.epochs)} epochs of trial {found.trial} and its ancestors")
    unknown = sum(row["learning_rate"] is None for row in found.epochs)
    if unknown:
        typer.echo(f"the optimizer told no learning rate in {unknown} of them, and `TableSchedule.load` needs all")


@app.command()
def replay(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="The trial; the best one when left out.")] = None,
    as_name: Annotated[
        str | None, typer.Option("--as", help="The new study's name; NAME-replay when left out.")
    ] = None,
    workers: Workers = 1,
    data_may_differ: DataMayDiffer = False,
) -> int:
    """Train the schedule of a study's best model once more from fresh weights, as a study beside it."""
    from bandstand.running.live import make_display
    from bandstand.running.messages import StudyOutcome
    from bandstand.running.run import run_studies
    from bandstand.store.reading.schedules import replay_spec
    from bandstand.store.store import Store
    from bandstand.study.study_file import find_study

    store = Store.open()
    found = store.schedule(name, trial)
    spec = replay_spec(found, as_name or f"{name}-replay")
    code_path = find_study(name, store.spec).code_path
    try:
        outcomes = run_studies(
            store, [spec], workers=workers, code_path=code_path, display=make_display(store),
            data_may_differ=data_may_differ,
        )  # fmt: skip
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


@app.command()
@also_on_server("asking:stop")
def stop(name: Name) -> None:
    """Ask whoever runs a study to pause it."""
    from bandstand.store.store import Store

    if Store.open().requests.stop(name):
        typer.echo(f"{name}: its trials pause at the end of their epochs; `bandstand run` goes on")
    else:
        typer.echo(f"{name}: nobody runs it")


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(help="Port on the loopback interface.")] = 8080,
) -> None:
    """Optuna Dashboard on the same database, for this machine only."""
    from bandstand.optuna_tables.dashboard import serve_dashboard

    serve_dashboard(port)


@database.command()
def upgrade() -> None:
    """Bring the database's schema up to this version."""
    from bandstand.store.store import upgrade_database

    typer.echo(upgrade_database())


# -- what the commands print ----------------------------------------------------------------------------------------


def _print_best(record: StudyRecord) -> None:
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
            f"its weights went through {counted(len(record.best_ancestors), 'trial')} with other params before; "
            f"`bandstand schedule {shlex.quote(record.spec.name)}` shows them epoch by epoch"
        )
    if record.combined is not None:
        from bandstand.trials.combination import sentence_on

        typer.echo(sentence_on(record.combined, metric))
    if record.test_metrics:
        tested = ", ".join(f"{name} {value:.4f}" for name, value in record.test_metrics.items())
        typer.echo(f"on the test data, {record.looked_at}, {record.tested_model}: {tested}")
    elif record.has_test is False:
        typer.echo("not tested: the data have no test split")
    typer.echo(f"model: {best.model_path}" if best.model_path else best.model_words)
    for replayed in record.replays:
        typer.echo(replayed.sentence)


def _json_from(record: StudyRecord) -> dict[str, Any]:
    trials = json.loads(record.trials.to_json(orient="records", date_format="iso"))
    return {
        "name": record.spec.name,
        "state": record.state,
        "reason": record.reason,
        "created_at": record.created_at,
        "ended_at": record.ended_at,
        "wall_seconds": record.wall_seconds,
        "gpu_seconds": record.gpu_seconds,
        "notices": record.notices,
        "budget": record.budget.model_dump(exclude_none=True),
        "requests": [vars(request) | {"refused": request.refused} for request in record.requests],
        "spec": record.spec.model_dump(mode="json"),
        "best": _best_json(record),
        "trials": trials,
    }


def _best_json(record: StudyRecord) -> dict[str, Any] | None:
    best: BestTrial | None = record.best
    if best is None:
        return None
    combined = None if record.combined is None else dataclasses.asdict(record.combined)
    return dataclasses.asdict(best) | {
        "metric": record.spec.objective.metric,
        "direction": record.spec.objective.direction,
        "test_metrics": record.best_test_metrics,
        "combined": combined,
        "replays": [dataclasses.asdict(replayed) for replayed in record.replays],
    }


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))
