"""The server that the options, the environment or the login name, opened for a command.

Knows tokens and where they are read from. Must not know what a command asks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from bandstand.client import Client
from bandstand.errors import InputError

__all__ = ["open_client", "read_token"]


def open_client(url: str | None, token_file: Path | None) -> Client:
    """The server that the options, the environment or the login name; says so in a terminal.

    Raises:
        InputError: none is named, or the file cannot be read.
    """
    client = Client(url, token=None if token_file is None else read_token(token_file))
    if sys.stderr.isatty():
        typer.secho(f"on {client.url}", err=True, dim=True)
    return client


def read_token(file: Path) -> str:
    """The token in a file, or on standard input.

    Raises:
        InputError: there is none.
    """
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"a token file must be readable; {str(file)!r} is not ({type(error).__name__}): check its path and rights"
        ) from None
    if not text.strip():
        raise InputError(f"a token file must hold a token; {str(file)!r} is empty: put the token into it")
    return text.strip()
