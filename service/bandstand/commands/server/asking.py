"""What `stop`, `extend` and `enqueue` do on a server, and the commands that only a server has: `resume`, `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandstand.commands.options import DataMayDiffer, StudyName
from bandstand.commands.server.choice import TokenFile, Url, open_client

if TYPE_CHECKING:
    from bandstand.client import Client

__all__ = ["delete", "enqueue", "extend", "resume", "stop"]


def stop(client: Client, name: str) -> None:
    """As `bandstand stop`."""
    client.find(name).stop()
    typer.echo(f"{name}: its trials pause at the end of their epochs; `bandstand resume` goes on")


def extend(client: Client, name: str, budget: list[str]) -> None:
    """As `bandstand extend`."""
    from bandstand.problem.budget import Budget
    from bandstand.study.budget_text import budget_from

    wanted = Budget.model_validate(budget_from(budget))
    client.study(name).extend(wanted)
    typer.echo(f"{name}: its budget becomes {wanted}; what has finished goes on, what was stopped once it is resumed")


def enqueue(client: Client, name: str, params: list[str]) -> None:
    """As `bandstand enqueue`."""
    from bandstand.commands.requests import texts_from
    from bandstand.store.rows.request_rows import params_from

    study = client.study(name)
    study.enqueue(params_from(study.spec.space, texts_from(params)))
    typer.echo(f"{name}: these params are tried next, within its budget")


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
    with open_client(url, token_file) as client:
        found = client.find(name)
        if not sure:
            typer.confirm(f"delete {name!r} with all its trials from {client.url}?", abort=True)
        found.delete()
        typer.echo(f"{name}: deleted, with its checkpoints and its model")
