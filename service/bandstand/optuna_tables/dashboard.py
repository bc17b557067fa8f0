"""Optuna Dashboard on the store's database."""

from __future__ import annotations

import signal
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import typer

from bandstand.errors import InputError
from bandstand.optuna_tables.optuna_mirror import open_storage
from bandstand.store.store import Store

__all__ = ["serve_dashboard"]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A line for each of the page's polls would bury everything else."""


def serve_dashboard(port: int) -> None:
    """Serve until Ctrl-C, on the loopback interface only: the dashboard has no login, and can delete studies.

    Raises:
        InputError: the port is taken.
    """
    import optuna_dashboard

    store = Store.open()
    application = optuna_dashboard.wsgi(open_storage(store.url))
    try:
        server = make_server("127.0.0.1", port, application, handler_class=_Quiet)
    except OSError as error:
        raise InputError(
            f"the port must be free; {port} is not ({error.strerror}): choose another with --port"
        ) from None
    with server:
        typer.echo(f"Optuna Dashboard: http://127.0.0.1:{server.server_port}/dashboard  (Ctrl-C ends it)")
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not by an exception: raised while a request is answered, the server would swallow it and go on.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
