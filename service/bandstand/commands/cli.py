"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from bandstand.commands.clean import clean
from bandstand.commands.compare import compare
from bandstand.commands.database import database
from bandstand.commands.doctor import doctor
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

_ABOUT = "Tune the hyperparameters of Keras models. To try it, run `bandstand demo`."

app = typer.Typer(
    name="bandstand",
    help=_ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point: every error a user can cause is one line on standard error."""
    came = _obey_signals()
    code = _exit_code(came)
    sys.exit(128 + signal.SIGTERM if signal.SIGTERM in came else code)


def _obey_signals() -> list[int]:
    """Have SIGTERM do what Ctrl-C does: pause what runs, and let go of the database; what came is in the list.

    Python would end at once, and leave behind the embedded PostgreSQL.
    """
    came: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number, usual in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
            if signal.getsignal(number) is usual:
                signal.signal(number, interrupt)
    return came


def _exit_code(came: Sequence[int]) -> int:
    """What the process ends with.

    Args:
        came: the signals that have come so far. A library that one of them interrupts in the midst of its work may
            raise an error of its own, which means no more than that.
    """
    try:
        code = app(standalone_mode=False)
    except BandstandError as error:
        typer.echo(f"bandstand: {error}", err=True)
        return answer_to(type(error)).exit_code
    except UsageError as error:
        where = error.ctx.command_path if error.ctx else "bandstand"
        message = error.format_message().rstrip(".")
        if message:  # empty where the help was printed instead
            end = " See" if message.endswith("?") else "; see"
            typer.echo(f"bandstand: {message}{end} `{where} --help`", err=True)
        return answer_to(InputError).exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception:
        if came:
            return INTERRUPTED
        raise
    return code if isinstance(code, int) else 0


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"bandstand {version('bandstand')}")
        raise typer.Exit


@app.callback(help=_ABOUT)
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Show the version, or the help."""


def demo(workers: Workers = None) -> int:
    """Try Bandstand: tune a small model, compare it with random search and write a report."""
    from bandstand.commands.work.demonstration import run_demo
    from bandstand.running.extras_for_training import require_training

    require_training("`bandstand demo`")
    try:
        report = run_demo(workers)
    except KeyboardInterrupt:
        typer.echo("paused; `bandstand demo` continues where it stopped", err=True)
        return INTERRUPTED
    typer.echo(str(report))
    return 0


def stop(name: StudyName) -> None:
    """Pause a study that is running."""
    from bandstand.store.store import Store

    if Store.open().requests.stop(name):
        typer.echo(f"{name}: its trials pause at the end of their epochs; `bandstand run` continues it")
    else:
        typer.echo(f"{name}: it is not running, so there is nothing to stop")


def dashboard(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on. 0 picks a free one.")] = 8080,
) -> None:
    """Start Optuna Dashboard for the studies. Only browsers on this machine can open it."""
    from bandstand.optuna_dashboard.dashboard import serve_dashboard

    serve_dashboard(port)


PANELS: dict[str, dict[str, Callable[..., Any]]] = {
    "Starting": {
        "demo": demo,
        "run": run,
        "simulate": simulate,
        "compare": compare,
        "replay": replay,
        "doctor": doctor,
    },
    "Looking": {
        "list": also_on_server("looking:list_studies")(list_studies),
        "show": also_on_server("looking:show")(show),
        "best": also_on_server("looking:best")(best),
        "report": also_on_server("looking:report")(report),
        "figure": figure,
        "model": model,
        "export": export,
        "schedule": schedule,
        "watch": watch,
        "logs": logs,
        "dashboard": dashboard,
    },
    "Changing": {
        "stop": also_on_server("asking:stop")(stop),
        "resume": resume,
        "extend": also_on_server("asking:extend")(extend),
        "enqueue": also_on_server("asking:enqueue")(enqueue),
        "delete": delete,
        "clean": clean,
    },
    "The server": {
        "serve": serve,
        "login": login,
        "submit": submit,
        "submit-comparison": submit_comparison,
        "logout": logout,
    },
}
"""The commands in the order in which a user needs them; the help shows a panel for each group."""

for panel, commands in PANELS.items():
    for name, command in commands.items():
        app.command(name=name, rich_help_panel=panel)(command)
app.add_typer(token, rich_help_panel="The server")
app.add_typer(database, rich_help_panel="The server")
