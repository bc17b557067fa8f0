"""`bandstand serve`: the server that a team shares, and its dispatcher beside it.

Knows addresses, signals and the order of starting and ending. Must not know what is asked of the server.
"""

from __future__ import annotations

import logging
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandstand.errors import INTERRUPTED, InputError

if TYPE_CHECKING:
    import uvicorn

    from bandstand.running.dispatch_child import DispatchChild
    from bandstand.store.store import Store

__all__ = ["serve"]

_GRACE_SECONDS = 5
"""For requests under way when the server is asked to end; streams of events would never end by themselves."""


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 takes one that is free.")]
PerUser = Annotated[
    int, typer.Option(min=1, help="Submissions of one user that run at the same time, on all servers together.")
]
AtOnce = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Submissions of this server that run at the same time; when left out, the cores of this machine "
        "without a cluster, no limit with one.",
    ),
]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file with the certificate chain.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file with its private key.")]
BehindProxy = Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front of the server does TLS.")]
Dispatches = Annotated[
    bool, typer.Option("--dispatch/--no-dispatch", help="Run what is submitted, or only answer requests.")
]


@dataclass(frozen=True, kw_only=True)
class _Tls:
    """Files of a server that does TLS itself."""

    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class _Transport:
    """How requests travel to the server."""

    tls: _Tls | None
    behind_proxy: bool

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers reach the server by HTTPS."""
        return self.tls is not None or self.behind_proxy


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    per_user: PerUser = 4,
    at_once: AtOnce = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = False,
    dispatch: Dispatches = True,
) -> int:
    """Serve a team: studies are submitted to it, run on the Ray cluster, and looked at with it."""
    from bandstand.running.dispatch_child import DispatchChild
    from bandstand.settings import ray_job_server
    from bandstand.store.store import Store

    transport = _Transport(tls=_tls_files(tls_certificate, tls_key), behind_proxy=behind_proxy)
    if not _is_loopback(host) and not transport.is_encrypted:
        raise InputError(
            f"tokens must not travel in the clear; {host!r} is not the loopback interface: give --tls-certificate and "
            "--tls-key, or --behind-proxy if a proxy does TLS"
        )
    if dispatch:
        ray_job_server()  # refuses what the dispatcher could not use
    listening = _listen(host, port)
    store = Store.open()
    limits = [f"--per-user={per_user}", *([f"--at-once={at_once}"] if at_once else [])]
    child = DispatchChild(store.database.url, limits) if dispatch else None
    try:
        return _run(store, child, listening, transport)
    finally:
        if child is not None:
            child.end()
        store.close()


def _run(store: Store, child: DispatchChild | None, listening: socket.socket, transport: _Transport) -> int:
    import uvicorn

    from bandstand.api.app import make_app
    from bandstand.api.settings import ServerSettings

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    tls = transport.tls
    config = uvicorn.Config(
        make_app(store, ServerSettings(secure_cookies=transport.is_encrypted)),
        log_level="warning",
        access_log=False,
        proxy_headers=transport.behind_proxy,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    caught: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught_one, _: caught.append(caught_one))  # uvicorn raises them again at its end

    def begin() -> None:
        _announce(store, listening, tls is not None)
        if child is not None:
            child.start()

    server = _announcing(uvicorn.Server, begin)(config)
    server.run(sockets=[listening])
    return INTERRUPTED if signal.SIGINT in caught else 0


def _announcing(kind: type[uvicorn.Server], begin: Callable[[], None]) -> type[uvicorn.Server]:
    class AnnouncingServer(kind):  # type: ignore[valid-type,misc]  # uvicorn is imported only when it is needed
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            begin()

    return AnnouncingServer


def _announce(store: Store, listening: socket.socket, is_tls: bool) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Bandstand serves at {'https' if is_tls else 'http'}://{shown}:{port}")
    if not store.accounts.list_tokens():
        typer.echo("nobody has a token yet; `bandstand token create NAME --role admin` makes one")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(
            f"the server must be able to listen; {host}:{port} says: {error.strerror}: choose another --port or --host"
        ) from None


def _tls_files(certificate: Path | None, key: Path | None) -> _Tls | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InputError("TLS needs two files; give --tls-certificate and --tls-key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"TLS needs a certificate and its key without a password, as PEM; {str(certificate)!r} and {str(key)!r} "
            f"say: {error.strerror or error}"
        ) from None
    return _Tls(certificate=certificate, key=key)
