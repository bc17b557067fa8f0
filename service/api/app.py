"""The application: its parts put together.

Knows which parts there are. Must not know what they do.
"""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from service.api import code, events, logs, operations, studies, submitting
from service.api.feeds import Feeds
from service.api.problems import Problem, register_problems
from service.api.sessions import Sessions
from service.api.settings import ServerSettings
from service.store import Store

__all__ = ["make_app"]

_DESCRIPTION = """Hyperparameter optimization for Keras, for a team: submit studies, watch them, review them.

Every request but `/healthz` and `/readyz` carries a token (`Authorization: Bearer …`), made by `bandstand token
create`. Every error is a problem as of RFC 9457, with one line that says the rule, the value and the way out."""


def make_app(store: Store, settings: ServerSettings | None = None) -> FastAPI:
    """The server's application.

    Args:
        store: where everything is kept.
        settings: the defaults when left out.
    """
    settings = settings or ServerSettings()
    app = FastAPI(
        title="Bandstand", version=version("bandstand"), description=_DESCRIPTION, docs_url=None, redoc_url=None
    )
    app.state.store = store
    app.state.settings = settings
    app.state.sessions = Sessions(store, settings.session_hours)
    app.state.feeds = Feeds(store)
    register_problems(app)
    app.include_router(operations.router)
    app.include_router(code.router)
    app.include_router(submitting.router)
    app.include_router(logs.router)
    app.include_router(events.router)
    app.include_router(studies.router)
    app.include_router(studies.last)
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the form of errors into the description of the interface, which routes refer to by name."""
    describe = app.openapi

    def openapi() -> dict[str, object]:
        described = describe()
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", Problem.model_json_schema(ref_template="#/components/schemas/{model}"))
        return described

    app.openapi = openapi  # type: ignore[method-assign]
