"""Optuna Dashboard on the store's database."""

from __future__ import annotations

import logging
import signal
import sys

import typer

from bandstand.errors import InputError
from bandstand.extras import require
from bandstand.optuna_dashboard.large_studies import find_large_studies
from bandstand.store.optuna_mirror import open_storage
from bandstand.store.store import Store

__all__ = ["serve_dashboard"]

_TOLD = 3
"""Large studies that are named."""
_THREADS = 8
"""More than a browser has connections to one server."""


def serve_dashboard(port: int) -> None:
    """Serve until Ctrl-C, on the loopback interface only: the dashboard has no login, and can delete studies.

    Raises:
        MissingExtraError: Optuna Dashboard is not installed.
        InputError: the port is taken.
    """
    require("dashboard", "`bandstand dashboard`")
    import optuna_dashboard
    import waitress

    store = Store.open()
    application = optuna_dashboard.wsgi(open_storage(store.database.url))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # or each poll that has to wait is a line
    try:
        server = waitress.create_server(application, host="127.0.0.1", port=port, threads=_THREADS)
    except OSError as error:
        raise InputError(
            f"the port must be free; {port} is not ({error.strerror}): choose another with --port"
        ) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # which ends `run`, once the threads have answered
    typer.echo(f"Optuna Dashboard: http://127.0.0.1:{server.effective_port}/dashboard  (Ctrl-C ends it)")
    large = find_large_studies(store.database)
    if large:
        named = ", ".join(f"{name} ({trials:,} trials)" for name, trials in large[:_TOLD])
        more = f" and {len(large) - _TOLD} more" if len(large) > _TOLD else ""
        typer.echo(
            f"it loads all trials of a study at every look, so it is slow to open {named}{more}; `bandstand show` and "
            "`bandstand report` are not"
        )
    server.run()
