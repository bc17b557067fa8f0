"""`bandstand resume` and `bandstand delete`: what becomes of what a server has stopped or ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import DataMayDiffer, StudyName
from bandstand.commands.server.choice import TokenFile, Url

__all__ = ["delete", "resume"]


def resume(
    name: StudyName,
    code: Annotated[
        Path | None, typer.Option(help="A folder that replaces the study's code.", show_default=False)
    ] = None,
    data_may_differ: DataMayDiffer = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Have a server go on with a study or comparison that was stopped or has failed, where it stands."""
    from bandstand.commands.server.server_from_options import open_client

    with open_client(url, token_file) as client:
        client.find(name).resume(code, data_may_differ=data_may_differ)
        typer.echo(f"{name}: goes on as soon as it is its turn; `bandstand watch` shows it")


def delete(
    name: StudyName,
    sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Delete a study or comparison from a server, with its trials and logs."""
    from bandstand.commands.server.server_from_options import open_client

    with open_client(url, token_file) as client:
        found = client.find(name)
        if not sure:
            typer.confirm(f"delete {name!r} with all its trials from {client.url}?", abort=True)
        found.delete()
        typer.echo(f"{name}: deleted, with its checkpoints and its model")
