"""The server's pages: what somebody sees in a browser.

Each page is written whole by the server from a template, as it stands now, and works without a script. The one script
fetches the page that it is on again and replaces the parts that changed, so that what is live has no second form; it
sends the buttons' requests to the JSON routes, which decide whether they are allowed.

`login` lets a browser in, `front` is the list of studies, `study` and `comparison` are a page each; `content` reads
what they show; `rendering` writes, `words` puts numbers into words; `people` turns errors into pages. Everything is
served from this package.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from bandstand.api.access.failed_logins import FailedLogins
from bandstand.api.pages import comparison, front, login, study
from bandstand.api.pages.people import PagesForPeople

__all__ = ["register_pages"]


def register_pages(app: FastAPI) -> None:
    """Add the pages to the application."""
    for router in (login.router, front.router, study.router, comparison.router):
        app.include_router(router, include_in_schema=False)
    app.state.failed_logins = FailedLogins(app.state.settings.logins_per_minute)
    app.mount("/web/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.add_middleware(PagesForPeople)
