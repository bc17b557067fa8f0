"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bandstand.commands.compare import compare
from bandstand.commands.extend_enqueue import enqueue, extend
from bandstand.commands.internals import UsageError
from bandstand.commands.look import best, export, list_studies, schedule, show
from bandstand.commands.model import model
from bandstand.commands.options import StudyName, Workers
from bandstand.commands.report import figure, report
from bandstand.commands.run import replay, run
from bandstand.commands.serve import serve
from bandstand.commands.server.choice import also_on_server
from bandstand.commands.server.login import login, logout
from bandstand.commands.server.resume_delete import delete, resume
from bandstand.commands.server.submitting import logs, submit, submit_comparison, watch
from bandstand.commands.simulate import simulate
from bandstand.commands.token import token
from bandstand.errors import INTERRUPTED, BandstandError, InputError, answer_to

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


app.command()(run)


@app.command()
def demo(workers: Workers = None) -> int:
    """Tune a model of handwritten digits, compare with random search, write a report."""
    from bandstand.commands.work.demonstration import run_demo
    from bandstand.running.extras_for_training import require_training

    require_training("`bandstand demo`")
    try:
        report = run_demo(workers)
    except KeyboardInterrupt:
        typer.echo("paused; `bandstand demo` goes on where it stopped", err=True)
        return INTERRUPTED
    typer.echo(str(report))
    return 0


app.command(name="list")(also_on_server("looking:list_studies")(list_studies))
app.command()(also_on_server("looking:show")(show))
app.command()(also_on_server("looking:best")(best))
app.command()(model)
app.command()(export)
app.command()(schedule)
app.command()(replay)


@app.command()
@also_on_server("asking:stop")
def stop(name: StudyName) -> None:
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
    from bandstand.optuna_dashboard.dashboard import serve_dashboard

    serve_dashboard(port)


@database.command()
def upgrade() -> None:
    """Bring the database's schema up to this version."""
    from bandstand.store.store import upgrade_database

    typer.echo(upgrade_database())
