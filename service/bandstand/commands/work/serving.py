"""What `bandstand serve` does: the server's socket, its TLS, and the order of starting and ending.

Knows addresses and signals. Must not know what is asked of the server.
"""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import typer
import uvicorn

from bandstand.api.app import make_app
from bandstand.api.settings import ServerSettings
from bandstand.commands.work.prompt_requests import PromptRequests
from bandstand.errors import INTERRUPTED, InputError
from bandstand.log_lines import LogFormat, begin_logging, chosen_format
from bandstand.running.dispatcher_process import DispatcherProcess
from bandstand.store.leftovers import try_to_remove_leftovers
from bandstand.store.store import Store
from bandstand.traces import begin_traces

__all__ = [
    "LOOPBACK",
    "Tls",
    "Transport",
    "is_loopback",
    "listen",
    "proxy_addresses",
    "run_server",
    "server_config",
    "tls_files",
]

_GRACE_SECONDS = 5
"""For requests under way when the server is asked to end; streams of events would never end by themselves."""

LOOPBACK = ("127.0.0.1", "::1")
"""Where a proxy is unless somebody says otherwise: on the server's own machine."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Files of a server that does TLS itself."""

    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Transport:
    """How requests travel to the server."""

    tls: Tls | None
    proxies: tuple[str, ...] = ()  # addresses and networks whose X-Forwarded-… headers are believed

    @property
    def behind_proxy(self) -> bool:
        """Whether a proxy does TLS."""
        return bool(self.proxies)

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers reach the server by HTTPS."""
        return self.tls is not None or self.behind_proxy


def run_server(store: Store, child: DispatcherProcess | None, listening: socket.socket, transport: Transport) -> int:
    """Serve until a signal ends it; returns what the command ends with."""
    begin_logging("%(asctime)s %(message)s", date_format="%H:%M:%S")
    begin_traces("bandstand-server")
    tls = transport.tls
    config = server_config(make_app(store, ServerSettings(secure_cookies=transport.is_encrypted)), transport)
    caught: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught_one, _: caught.append(caught_one))  # uvicorn raises them again at its end

    def begin() -> None:
        _announce(store, listening, tls is not None)
        if child is not None:
            child.start()
        threading.Thread(target=try_to_remove_leftovers, args=(store.database,), daemon=True).start()

    _AnnouncingServer(config, begin).run(sockets=[listening])
    return INTERRUPTED if signal.SIGINT in caught else 0


def server_config(app: Callable[..., Any], transport: Transport) -> uvicorn.Config:
    """How uvicorn serves an application."""
    tls = transport.tls
    return uvicorn.Config(
        app,
        log_config=None if chosen_format() is LogFormat.JSON else uvicorn.config.LOGGING_CONFIG,
        log_level="warning",
        access_log=False,
        http=PromptRequests,
        proxy_headers=transport.behind_proxy,
        forwarded_allow_ips=list(transport.proxies),
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )


class _AnnouncingServer(uvicorn.Server):
    """Calls `begin` once it listens."""

    def __init__(self, config: uvicorn.Config, begin: Callable[[], None]):
        super().__init__(config)
        self._begin = begin

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._begin()


def _announce(store: Store, listening: socket.socket, is_tls: bool) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Bandstand serves at {'https' if is_tls else 'http'}://{shown}:{port}")
    if not store.accounts.list_tokens():
        typer.echo("nobody has a token yet; `bandstand token create NAME --role admin` creates one")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_addresses(text: str | None, *, behind_proxy: bool) -> tuple[str, ...]:
    """The addresses and networks of the proxies, from a list with commas; the loopback interface where none is named.

    Raises:
        InputError: one is neither, or proxies are named for a server that is not behind one.
    """
    if text is None:
        return LOOPBACK if behind_proxy else ()
    if not behind_proxy:
        raise InputError(f"--proxies needs --behind-proxy; got --proxies {text!r} alone: add --behind-proxy")
    found = tuple(one.strip() for one in text.split(",") if one.strip())
    try:
        for one in found:
            ip_network(one)
    except ValueError:
        found = ()
    if not found:
        raise InputError(
            f"--proxies must be IP addresses or networks with commas between them; got {text!r}: write for example "
            "--proxies 10.0.0.7,10.244.0.0/16"
        )
    return found


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: it cannot.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = str(error.strerror).partition(" (while ")[0]  # Python repeats the address
        raise InputError(
            f"the server cannot listen on {host}:{port} ({why}): choose another --port or --host"
        ) from None


def tls_files(certificate: Path | None, key: Path | None) -> Tls | None:
    """The files of TLS, tried; None where none is named.

    Raises:
        InputError: one is missing, or they are of no use.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InputError("TLS needs two files, and one is missing: give --tls-certificate and --tls-key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"TLS needs a certificate and its private key as PEM, without a password; {str(certificate)!r} and "
            f"{str(key)!r} cannot be used: {error.strerror or error}"
        ) from None
    return Tls(certificate=certificate, key=key)
