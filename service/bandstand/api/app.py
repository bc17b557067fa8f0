"""The application: its parts put together.

Knows which parts there are. Must not know what they do.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from bandstand.api.access.credentials import Credentials
from bandstand.api.access.headers import SecureHeaders
from bandstand.api.access.known_tokens import KnownTokens
from bandstand.api.access.limits import LimitBodies, LimitRequests
from bandstand.api.access.sessions import Sessions
from bandstand.api.feeds.snapshots import Snapshots
from bandstand.api.feeds.study_feeds import Feeds
from bandstand.api.pages import register_pages
from bandstand.api.request_traces import TraceRequests
from bandstand.api.routes import (
    code,
    comparisons,
    events,
    logs,
    metrics,
    operations,
    reports,
    studies,
    study_requests,
    submitting,
)
from bandstand.api.routes.metrics import MeasureRequests, Metrics
from bandstand.api.routes.optuna_dashboard import register_dashboard
from bandstand.api.routes.reports import ReportWriter
from bandstand.api.schemas.problem_details import AnswerFailures, ProblemDetails, register_problems
from bandstand.api.settings import ServerSettings
from bandstand.store.store import Store
from bandstand.traces import are_traced

__all__ = ["make_app"]

_DESCRIPTION = """A Bandstand server over HTTP. A team submits studies to it, watches them and reads their reports.

Every request needs a token (`Authorization: Bearer …`), except `/healthz`, `/readyz` and `/openapi.json`. The last is
open because it holds nothing of a server but what the documentation says of all. An admin creates tokens with
`bandstand token create`. Every error is a problem as RFC 9457 describes it. Its `detail` is one line with the rule, the
value and the way out."""


def make_app(store: Store, settings: ServerSettings | None = None) -> FastAPI:
    """The server's application.

    Args:
        store: where everything is kept.
        settings: the defaults when left out.
    """
    settings = settings or ServerSettings()
    app = _Application(
        title="Bandstand",
        version=version("bandstand"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    _add_parts(app, store, settings)
    register_problems(app)
    _add_middleware(app, settings)
    app.include_router(operations.router)
    app.include_router(metrics.router)
    app.include_router(code.router)
    app.include_router(submitting.router)
    app.include_router(study_requests.router)
    app.include_router(logs.router)
    app.include_router(events.router)
    app.include_router(reports.router)
    app.include_router(studies.router)
    app.include_router(studies.last)
    app.include_router(comparisons.router)
    app.include_router(comparisons.last)
    register_pages(app)
    register_dashboard(app)
    app.add_middleware(SecureHeaders)  # the last one added is the outermost
    if are_traced():
        app.add_middleware(TraceRequests)
    return app


def _add_parts(app: FastAPI, store: Store, settings: ServerSettings) -> None:
    """What lives as long as the server does."""
    app.state.store = store
    app.state.settings = settings
    app.state.known_tokens = KnownTokens(store.accounts)
    app.state.sessions = Sessions(store, settings.session_hours)
    app.state.feeds = Feeds(store)
    app.state.snapshots = Snapshots(store)
    app.state.metrics = Metrics(store, app.state.feeds)
    app.state.reports = ReportWriter(store, settings.reports_at_once)


def _add_middleware(app: FastAPI, settings: ServerSettings) -> None:
    """What every request passes, the innermost first."""
    app.add_middleware(LimitBodies, settings=settings)
    app.add_middleware(AnswerFailures)
    credentials = Credentials(app.state.known_tokens, app.state.sessions)
    app.add_middleware(LimitRequests, settings=settings, find=credentials.find)
    app.add_middleware(MeasureRequests, metrics=app.state.metrics)


class _Application(FastAPI):
    """FastAPI's, whose description has the form of errors too, which routes refer to by name."""

    def openapi(self) -> dict[str, Any]:
        """As FastAPI's, which documents it as a method to be overridden."""
        described = super().openapi()
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault(
            "ProblemDetails", ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        )
        return described
