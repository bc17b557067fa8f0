"""What this machine asks over the network: a Ray cluster, and the server that the user is logged in to.

Knows addresses. Must not import Ray, nor show a token.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from urllib.parse import urlsplit

from bandstand.client.login import config_file, find_login
from bandstand.commands.work.checkup.finding import Finding, ok, problem, warning
from bandstand.errors import BandstandError
from bandstand.extras import missing_packages
from bandstand.locations import ray_address

__all__ = ["examine_cluster", "examine_server"]

_SECONDS = 5.0


def examine_cluster() -> Iterator[Finding]:
    """Ray: a local one is started by each command, so that only its package is needed."""
    address = ray_address()
    if address is None:
        if not missing_packages(["ray"]):
            yield ok("Ray", "each study starts a local one")
    elif address == "auto":
        yield warning("Ray", "RAY_ADDRESS is 'auto', which was not asked", "set it to HEAD:6379")
    else:
        yield _answers("Ray", address, "RAY_ADDRESS", 6379)
    jobs = os.environ.get("RAY_API_SERVER_ADDRESS")
    if jobs:
        yield _answers("job server", jobs, "RAY_API_SERVER_ADDRESS", 8265)
    elif address is not None:
        yield ok("job server", "RAY_API_SERVER_ADDRESS is not set; only `bandstand serve` needs it")


def examine_server() -> Iterator[Finding]:
    """The server of `bandstand login`, if there is one."""
    try:
        login = find_login()
    except BandstandError as error:
        yield problem("server", str(error).rpartition(": ")[0], "log in again with `bandstand login`")
        return
    file = config_file()
    if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield problem("login", f"others may read {file}, which holds a token", f"chmod 600 {file}, and get a new token")
    if login is None:
        return
    import httpx

    headers = {"Authorization": f"Bearer {login.token}"} if login.token else {}
    shown = _without_secrets(login.url)
    try:
        answer = httpx.get(f"{login.url}/me", headers=headers, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield problem(
            "server", f"{shown} does not answer: {type(error).__name__}", "start it, or correct BANDSTAND_URL"
        )
        return
    if answer.status_code == httpx.codes.OK:
        yield ok("server", f"{shown} answers, and takes your token")
    elif answer.status_code == httpx.codes.UNAUTHORIZED:
        advice = "have an admin create one with `bandstand token create`, then run `bandstand login`"
        yield problem("server", f"{shown} answers, and does not take your token", advice)
    else:
        advice = "look at its log; a proxy may be in its place"
        yield problem("server", f"{shown} answers with status {answer.status_code}", advice)


def _answers(part: str, address: str, variable: str, port: int) -> Finding:
    parsed = urlsplit(address if "://" in address else f"ray://{address}")
    shown = _without_secrets(address)
    try:
        with socket.create_connection((parsed.hostname or "", parsed.port or port), timeout=_SECONDS):
            return ok(part, f"{shown} takes connections")
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return problem(part, f"{shown} does not answer: {told}", f"start the cluster, or correct {variable}")


def _without_secrets(address: str) -> str:
    """An address without the user and password that somebody may have put into it."""
    before, scheme, rest = address.rpartition("://")
    return f"{before}{scheme}{rest.rpartition('@')[2].partition('?')[0]}"
