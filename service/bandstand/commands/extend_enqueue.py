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
        list[str], typer.Option("--budget", help=f"The new total of what the study limits: {BUDGET_FORMS}.")
    ],
) -> None:
    """Let a study spend more, whether it runs, is stopped or has finished. Its strategy stays as it is."""
    from bandstand.problem.budget import Budget
    from bandstand.store.store import Store
    from bandstand.study.budget_text import budget_from

    store = Store.open()
    wanted = Budget.model_validate(budget_from(budget))
    store.requests.extend(name, wanted, by=_user())
    typer.echo(f"{name}: its budget becomes {wanted}; {_what_is_next(name, store.progress(name).state)}")


def enqueue(
    name: StudyName,
    params: Annotated[list[str], typer.Argument(help="Every parameter of a trial: units=32 learning_rate=0.01.")],
) -> None:
    """Have these params trained next, as a trial of the study."""
    from bandstand.store.rows.request_rows import params_from
    from bandstand.store.store import Store

    texts = texts_from(params)
    store = Store.open()
    store.requests.enqueue(name, params_from(store.spec(name).space, texts), by=_user())
    asked = any(request.kind == "extend" and request.taken_at is None for request in store.requests.read(name))
    state = store.progress(name).state
    waits = state == "finished" and not asked
    room = "; it has finished: where its budget is used, they wait until that is extended" if waits else ""
    typer.echo(f"{name}: these params are tried next, within its budget; {_what_is_next(name, state)}{room}")


def texts_from(params: list[str]) -> dict[str, str]:
    """Params as they are given on the command line, by their names.

    Raises:
        InputError: one is not name=value.
    """
    from bandstand.errors import InputError

    unread = next((text for text in params if "=" not in text), None)
    if unread is not None:
        raise InputError(f"params are written name=value, such as units=32; got {unread!r}")
    return dict(text.partition("=")[::2] for text in params)


def _what_is_next(name: str, state: str) -> str:
    if state == "running":
        return "whoever runs it takes that in within seconds"
    return f"nobody runs it now: `bandstand run {shlex.quote(name)} --resume` takes that in and goes on"


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return None
