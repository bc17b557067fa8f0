"""`bandstand resume` and `bandstand delete`: what becomes of what a server has stopped or ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import DataMayDiffer, StudyOrComparisonName
from bandstand.commands.server.choice import TokenFile, Url

__all__ = ["confirm", "delete", "resume"]


def resume(
    name: StudyOrComparisonName,
    code: Annotated[
        Path | None, typer.Option(help="Folder that replaces the study's code.", show_default=False)
    ] = None,
    data_may_differ: DataMayDiffer = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Continue a stopped or failed study or comparison on a server."""
    from bandstand.commands.server.server_from_options import open_client

    with open_client(url, token_file) as client:
        client.find(name).resume(code, data_may_differ=data_may_differ)
        typer.echo(f"{name}: continues when its turn in the queue comes; `bandstand watch` shows its progress")


def delete(
    name: StudyOrComparisonName,
    sure: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Delete a study or comparison from a server, with its trials, logs and models."""
    from bandstand.commands.server.server_from_options import open_client

    with open_client(url, token_file) as client:
        found = client.find(name)
        if not sure:
            confirm(f"delete {name!r} with all its trials from {client.url}?", "deleting", "nothing was deleted")
        found.delete()
        typer.echo(f"{name}: deleted, with its checkpoints and its model")


def confirm(question: str, doing: str, told: str) -> None:
    """Ask the user.

    Args:
        question: what is asked.
        doing: what needs the answer, for whoever cannot give one.
        told: what is said if the answer is no.

    Raises:
        InputError: nobody can answer.
        typer.Abort: the answer is no, or Ctrl-C.
    """
    import sys

    from bandstand.errors import InputError

    try:
        agreed = typer.confirm(question)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        typer.echo("", err=True)  # the question's line has no end
        raise InputError(f"{doing} needs a confirmation, and there is no terminal to ask for it: add --yes") from None
    if not agreed:
        typer.echo(told, err=True)
        raise typer.Abort
