"""What `stop`, `extend` and `enqueue` do on a server."""

from __future__ import annotations

import typer

from bandstand.client import Client
from bandstand.commands.extend_enqueue import texts_from
from bandstand.problem.budget import Budget
from bandstand.store.rows.request_rows import params_from
from bandstand.study.budget_text import budget_from

__all__ = ["enqueue", "extend", "stop"]


def stop(client: Client, name: str) -> None:
    """As `bandstand stop`."""
    client.find(name).stop()
    typer.echo(f"{name}: its trials pause at the end of their epochs; `bandstand resume` continues it")


def extend(client: Client, name: str, budget: list[str]) -> None:
    """As `bandstand extend`."""
    wanted = Budget.model_validate(budget_from(budget))
    client.study(name).extend(wanted)
    typer.echo(
        f"{name}: its budget becomes {wanted}; a running or finished study continues by itself, a stopped one by "
        "`bandstand resume`"
    )


def enqueue(client: Client, name: str, params: list[str]) -> None:
    """As `bandstand enqueue`."""
    study = client.study(name)
    study.enqueue(params_from(study.spec.space, texts_from(params)))
    typer.echo(f"{name}: these params are tried next, within the budget")
