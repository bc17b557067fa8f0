"""Writes pages from their templates.

Knows Jinja, and that all of a page is escaped. Must not know what a page shows.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from bandstand.api.access.authentication import COOKIE
from bandstand.api.pages import words
from bandstand.api.pages.addresses import address_of
from bandstand.report.text import counted
from bandstand.running.progress_table import params_text

__all__ = ["render"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "ago": words.ago,
    "count": counted,
    "duration": words.duration,
    "moment": words.moment,
    "number": words.number,
    "params": params_text,
}
_environment.globals |= {
    name: partial(address_of, prefix)
    for name, prefix in {
        "api_address": "/studies",
        "comparison_address": "/web/comparisons",
        "comparison_api_address": "/comparisons",
        "log_address": "/web/logs",
        "study_address": "/web/studies",
    }.items()
}


def render(request: Request, template: str, status: int = 200, **context: object) -> HTMLResponse:
    """A page.

    Args:
        request: whose token, if it has one, is the page's `user`, and whose session its `csrf`.
        template: its name in `templates/`.
        status: of the answer.
        context: what the template shows.
    """
    token = getattr(request.state, "token", None)
    cookie = request.cookies.get(COOKIE)
    csrf = request.app.state.sessions.csrf_of(cookie) if token is not None and cookie else None
    given = {"user": token, "csrf": csrf, "path": request.url.path} | context
    text = _environment.get_template(template).render(given)
    return HTMLResponse(text, status, {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})
