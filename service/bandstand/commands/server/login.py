"""`bandstand login` and `logout`: which server the other commands ask, and the token for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.server.choice import TokenFile

__all__ = ["login", "logout"]


def login(
    url: Annotated[str, typer.Argument(help="URL of the server, such as https://bandstand.example.")],
    token_file: TokenFile = None,
) -> None:
    """Log in to a server. This checks your token and keeps it.

    Afterwards the commands list, show, best, report, stop, extend and enqueue use this server.
    With --local they use this machine's database.
    """
    from bandstand.client.client import Client
    from bandstand.client.login import Login, keep_login

    token = _token(token_file)
    with Client(url, token=token) as client:
        me = client.me()
        _warn_of_plain_text(client.url)
        file = keep_login(Login(url=client.url, token=token))
    typer.echo(
        f"{me.user}, {me.role} on {client.url} until {me.expires_at.astimezone():%Y-%m-%d %H:%M}; kept in {file}"
    )
    typer.echo(
        "list, show, best, report, stop, extend and enqueue now ask this server; with --local they use this machine's "
        "database"
    )


def logout() -> None:
    """Log out: forget the server and its token.

    The token itself stays valid until it expires or is revoked.
    """
    from bandstand.client.login import forget_login

    typer.echo("logged out" if forget_login() else "you were not logged in")


def _token(token_file: Path | None) -> str:
    import getpass
    import os

    from bandstand.commands.server.server_from_options import read_token
    from bandstand.errors import InputError

    if token_file is not None:
        return read_token(token_file)
    given = os.environ.get("BANDSTAND_TOKEN")
    if given:
        return given
    if not sys.stdin.isatty():
        raise InputError(
            "a login needs a token, and there is no terminal to ask for it: give --token-file FILE, or - for standard "
            "input"
        )
    text = getpass.getpass("token (made by `bandstand token create`, not shown): ").strip()
    if not text:
        raise InputError("a login needs a token; got nothing: ask whoever runs the server for one")
    return text


def _warn_of_plain_text(url: str) -> None:
    import httpx

    parsed = httpx.URL(url)
    if parsed.scheme == "http" and parsed.host not in ("127.0.0.1", "::1", "localhost"):
        typer.secho("the token travels to this server unencrypted; outside a trusted network use https://", err=True)
