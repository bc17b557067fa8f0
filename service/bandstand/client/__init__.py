"""Asking a server from Python: submit studies, watch them, fetch what came out.

`client`, `study` and `comparison` are what users hold, `submission` what the last two share; `connection` asks, repeats
and turns answers into errors of ours; `stream` reads events over any number of lost connections and `watching` shows
them; `login` finds the server and the token. `packing` decides which code goes along, with
`bandstand.study.users_code` for functions that no module holds. Nothing here needs TensorFlow, Ray or a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandstand.client.answers import Best, Me
    from bandstand.client.client import Client
    from bandstand.client.comparison import RemoteComparison
    from bandstand.client.study import RemoteStudy

__all__ = ["Best", "Client", "Me", "RemoteComparison", "RemoteStudy"]

_HOMES = {
    "Best": "answers",
    "Client": "client",
    "Me": "answers",
    "RemoteComparison": "comparison",
    "RemoteStudy": "study",
}


def __getattr__(name: str) -> Any:
    """Import on demand: whoever only looks whether there is a login needs nothing of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bandstand.client' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bandstand.client.{_HOMES[name]}"), name)
