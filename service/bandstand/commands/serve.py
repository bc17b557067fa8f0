"""`bandstand serve`: the server that a team shares, and its dispatcher beside it.

Knows addresses, signals and the order of starting and ending. Must not know what is asked of the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.errors import InputError
from bandstand.log_lines import LogFormat, choose_format

__all__ = ["serve"]


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on. 0 picks a free one.")]
PerUser = Annotated[
    int,
    typer.Option(
        min=1, help="Largest number of submissions of one user that run at the same time, on all servers together."
    ),
]
AtOnce = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Largest number of submissions that this server runs at the same time. Default: the number of "
        "CPU cores, or no limit if the server uses a Ray cluster.",
    ),
]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file with the certificate chain.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file with the private key.")]
BehindProxy = Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front of the server handles TLS.")]
Proxies = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated IP addresses or networks of the proxies, with --behind-proxy. The server believes the "
        "X-Forwarded-For and X-Forwarded-Proto headers from these addresses only. Default: this machine."
    ),
]
ServerLogs = Annotated[
    LogFormat, typer.Option("--log-format", help="Write logs as text, or as one JSON object per line.")
]
Dispatches = Annotated[
    bool,
    typer.Option(
        "--dispatch/--no-dispatch",
        help="With --no-dispatch, this server answers HTTP requests but does not run submissions.",
    ),
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    per_user: PerUser = 4,
    at_once: AtOnce = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = False,
    proxies: Proxies = None,
    log_format: ServerLogs = LogFormat.TEXT,
    dispatch: Dispatches = True,
) -> int:
    """Start a server for a team.

    Users submit studies to it.
    The server runs them on the Ray cluster that RAY_API_SERVER_ADDRESS names.
    If it names none, they run on this machine.
    """
    from bandstand.extras import require

    require("server", "`bandstand serve`")
    if dispatch:
        require("workers", "`bandstand serve`", otherwise="give --no-dispatch, which only answers requests")

    from bandstand.commands.work.serving import (
        Transport,
        is_loopback,
        listen,
        proxy_addresses,
        run_server,
        tls_files,
    )
    from bandstand.locations import ray_job_server
    from bandstand.running.dispatcher_process import DispatcherProcess
    from bandstand.store.store import Store

    choose_format(log_format)
    transport = Transport(
        tls=tls_files(tls_certificate, tls_key), proxies=proxy_addresses(proxies, behind_proxy=behind_proxy)
    )
    if not is_loopback(host) and not transport.is_encrypted:
        raise InputError(
            f"tokens must be encrypted on any interface but loopback; got host {host!r}: give --tls-certificate and "
            "--tls-key, or --behind-proxy if a proxy handles TLS"
        )
    if dispatch:
        ray_job_server()  # refuses what the dispatcher could not use
    listening = listen(host, port)
    store = Store.open()
    limits = [f"--per-user={per_user}", *([f"--at-once={at_once}"] if at_once else [])]
    child = DispatcherProcess(store.database.url, limits) if dispatch else None
    try:
        return run_server(store, child, listening, transport)
    finally:
        if child is not None:
            child.end()
        store.close()
