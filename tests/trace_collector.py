"""A collector of OpenTelemetry on this machine, which keeps the spans that it is sent."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import SERVICE_NAME

__all__ = ["Collector", "Seen"]


@dataclass(frozen=True)
class Seen:
    """A span as it came in."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    about: dict[str, Any]
    error: str
    failed: bool


class Collector:
    """Listens from its making to `close`."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server's name
                assert self.path == "/v1/traces"
                request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                collector.spans.extend(_spans_of(request))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _value(any_value: Any) -> Any:
    return getattr(any_value, any_value.WhichOneof("value"))


def _spans_of(request: Any) -> list[Seen]:
    found = []
    for resource in request.resource_spans:
        service = {one.key: _value(one.value) for one in resource.resource.attributes}[SERVICE_NAME]
        for scope in resource.scope_spans:
            for span in scope.spans:
                found.append(
                    Seen(
                        name=span.name,
                        service=service,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        about={one.key: _value(one.value) for one in span.attributes},
                        error=span.status.message,
                        failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    )
                )
    return found
