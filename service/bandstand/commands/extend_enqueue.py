"""`bandstand extend` and `bandstand enqueue`: what a user asks of a study that exists.

Every command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from bandstand.commands.options import StudyName
from bandstand.study.budget_text import BUDGET_FORMS

__all__ = ["enqueue", "extend", "texts_from"]


def extend(
    name: StudyName,
    budget: Annotated[
        list[str],
        typer.Option(
            "--budget", help=f"New total, not the increase, for a limit that the study already has: {BUDGET_FORMS}."
        ),
    ],
) -> None:
    """Raise the budget of a running, stopped or finished study."""
    from bandstand.problem.budget import Budget
    from bandstand.store.store import Store
    from bandstand.study.budget_text import budget_from

    store = Store.open()
    wanted = Budget.model_validate(budget_from(budget))
    store.requests.extend(name, wanted, by=_user())
    typer.echo(f"{name}: its budget becomes {wanted}; {_what_is_next(name, store.progress(name).state)}")


def enqueue(
    name: StudyName,
    params: Annotated[
        list[str], typer.Argument(help="A value for each parameter, such as units=32 learning_rate=0.01.")
    ],
) -> None:
    """Add a trial with your own params to a study. It is trained next."""
    from bandstand.store.rows.request_rows import params_from
    from bandstand.store.store import Store

    texts = texts_from(params)
    store = Store.open()
    store.requests.enqueue(name, params_from(store.spec(name).space, texts), by=_user())
    asked = any(request.kind == "extend" and request.taken_at is None for request in store.requests.read(name))
    state = store.progress(name).state
    waits = state == "finished" and not asked
    typer.echo(f"{name}: these params are tried next, within the budget; {_what_is_next(name, state)}")
    if waits:
        typer.echo("the study has finished; if its budget is spent, also raise it with `bandstand extend`")


def texts_from(params: list[str]) -> dict[str, str]:
    """Params as they are given on the command line, by their names.

    Raises:
        InputError: one is not NAME=VALUE.
    """
    from bandstand.errors import InputError

    unread = next((text for text in params if "=" not in text), None)
    if unread is not None:
        raise InputError(f"params must be written NAME=VALUE, such as units=32; got {unread!r}")
    return dict(text.partition("=")[::2] for text in params)


def _what_is_next(name: str, state: str) -> str:
    if state == "running":
        return "the running study takes this in within seconds"
    return f"continue the study with `bandstand run {shlex.quote(name)} --resume`"


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return None
