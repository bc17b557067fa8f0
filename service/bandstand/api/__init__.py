"""The server's HTTP side: what a team asks of one Bandstand, as JSON and as pages.

The only place for FastAPI. `app` puts the parts together; `access` tells who asks and what they may; `routes` answers,
a module for each kind of resource, in the forms of `schemas`; `feeds` looks up once what many read; `pages` is for
browsers. Nothing here decides or trains: it reads the store and writes the queue, so any number of servers may run on
one database.
"""

from __future__ import annotations

from bandstand.api.app import make_app
from bandstand.api.settings import ServerSettings

__all__ = ["ServerSettings", "make_app"]
