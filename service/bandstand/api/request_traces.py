"""A span for each request, as a child of the one that the client names.

Knows what of a request is told: no query, no header, because these may hold secrets. Must not know how spans are sent.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandstand.traces import span

__all__ = ["TraceRequests"]

_QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked by programs every few seconds."""


class TraceRequests:
    """The outermost part of a server that sends traces."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within a span."""
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        with span(method, {"http.request.method": method}, parent=parent or None, kind="server") as request:

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", None)
                    request.tell({"http.route": route, "http.response.status_code": message["status"]})
                    if route is not None:
                        request.rename(f"{method} {route}")
                    if message["status"] >= 500:
                        request.fail(f"it answered {message['status']}")
                await send(message)

            await self.app(scope, receive, note)
