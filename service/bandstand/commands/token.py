"""`bandstand token`: who may ask a server for what.

Knows the options and prints. Works on the database itself, so whoever can reach that may do this.
"""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["token"]

token = typer.Typer(name="token", help="Create, list and revoke the tokens of a server's users.", no_args_is_help=True)

_DAYS = 90.0


@token.command()
def create(
    user: Annotated[str, typer.Argument(help="Name of the user.")],
    role: Annotated[
        str,
        typer.Option(
            help="viewer sees everything; submitter also submits studies and changes their own; admin also changes "
            "everybody's studies."
        ),
    ] = "submitter",
    days: Annotated[float, typer.Option(help="Days until the token expires.")] = _DAYS,
) -> None:
    """Create a token and print it. It is shown only once."""
    from bandstand.store.accounts import Role
    from bandstand.store.store import Store

    made = Store.open().accounts.create_token(user, Role.named(role), days)
    typer.echo(made.text)
    typer.echo(
        f"{user}'s token {made.record.id}: {made.record.role}, until {made.record.expires_at:%Y-%m-%d}; keep it "
        "secret; it is not shown again",
        err=True,
    )


@token.command(name="list")
def list_tokens() -> None:
    """List all tokens without their secrets, the newest first."""
    from bandstand.report.forms.terminal_tables import make_console, print_table
    from bandstand.store.store import Store

    tokens = Store.open().accounts.list_tokens()
    if not tokens:
        typer.echo("there are no tokens yet; `bandstand token create NAME` creates one")
        return
    rows = []
    for one in tokens:
        dates = [f"{day:%Y-%m-%d}" if day else "" for day in (one.created_at, one.expires_at, one.revoked_at)]
        rows.append((one.id, one.user_name, str(one.role), *dates))
    header = ("id", "user", "role", "created", "expires", "revoked")
    print_table(make_console(), header, rows, folded=(), left=range(len(header)))


@token.command()
def revoke(which: Annotated[str, typer.Argument(help="ID of a token, or name of a user.")]) -> None:
    """Revoke a token, or all tokens of a user. This takes effect at once."""
    from bandstand.store.store import Store

    for one in Store.open().accounts.revoke(which):
        typer.echo(f"{one.user_name}'s token {one.id} is revoked")
