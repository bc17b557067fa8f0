"""Where a command works: on this machine's database, or on a server.

Knows the options that say so. Must not know what the commands do. A token is never an option's value, because every
user of a machine can read the arguments of its processes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

__all__ = ["TokenFile", "Url", "also_on_server"]

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="URL of the server. Default: BANDSTAND_URL, or the server that you logged in to.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File that holds the token, or - for standard input. Default: BANDSTAND_TOKEN, or your login's token.",
        show_default=False,
    ),
]
Local = Annotated[bool, typer.Option("--local", help="Use this machine's database, even if you are logged in.")]


def also_on_server(remote: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command of this machine's database that works on a server too, where one is named and --local is not given.

    Args:
        remote: `module:function` in this package, of what it does there: takes the client, and those of the command's
            options that a server knows.
    """

    def decorate(local: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(local)
        def choose(*, url: str | None, token_file: Path | None, local_only: bool, **options: Any) -> Any:
            if not _wants_server(url, token_file, local_only):
                return local(**options)
            module, _, name = remote.partition(":")
            there = getattr(import_module(f"bandstand.commands.server.{module}"), name)
            known = _known_options(local, there, options)
            from bandstand.commands.server.server_from_options import open_client

            with open_client(url, token_file) as client:
                return there(client, **known)

        _take_options_of(choose, local)
        return choose

    return decorate


def _wants_server(url: str | None, token_file: Path | None, local_only: bool) -> bool:
    from bandstand.client.login import find_login
    from bandstand.errors import InputError

    if not local_only:
        return token_file is not None or find_login(url) is not None
    if url is not None or token_file is not None:
        raise InputError(
            "--local works on this machine's database, --url and --token-file on a server: leave out one or the other"
        )
    return False


def _known_options(local: Callable[..., Any], there: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those that the server's command takes.

    Raises:
        InputError: another one was given.
    """
    from bandstand.errors import InputError

    known = inspect.signature(there).parameters
    defaults = {name: parameter.default for name, parameter in inspect.signature(local).parameters.items()}
    for name, value in options.items():
        if name not in known and value != defaults[name]:
            raise InputError(
                f"--{name.replace('_', '-')} works on this machine's database only, and this command asks a server: "
                "leave it out, or add --local"
            )
    return {name: value for name, value in options.items() if name in known}


def _take_options_of(choose: Callable[..., Any], local: Callable[..., Any]) -> None:
    """Give a function the signature of another one, with the options that choose a server."""
    hints = get_type_hints(local, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        parameter.replace(kind=keyword, annotation=hints[name])
        for name, parameter in inspect.signature(local).parameters.items()
    ]
    added = [
        inspect.Parameter(name, keyword, default=default, annotation=annotation)
        for name, default, annotation in (
            ("url", None, Url), ("token_file", None, TokenFile), ("local_only", False, Local),
        )
    ]  # fmt: skip
    parameters = [*own, *added]
    choose.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    choose.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del choose.__wrapped__  # type: ignore[attr-defined]
