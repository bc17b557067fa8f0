"""The server's HTTP side: what a team asks of one Bandstand, as JSON and as pages.

The only place for FastAPI. `app` puts the parts together; `authentication` tells who asks and what they may;
`problems` turns every error of ours into one form of answer; the rest is a module for each kind of resource. Nothing
here decides or trains: it reads the store and writes the queue, so any number of servers may run on one database.
"""

from __future__ import annotations

from bandstand.api.app import make_app
from bandstand.api.settings import ServerSettings

__all__ = ["ServerSettings", "make_app"]
