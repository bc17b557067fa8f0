"""Traces: spans of what a request, a dispatch, a study and an attempt take, sent to a collector of OpenTelemetry.

The one module that knows OpenTelemetry. Where OTEL_EXPORTER_OTLP_ENDPOINT names no collector, nothing of it is imported
and a span costs a call. Must not know what a span is about. The tracer is Bandstand's own, never the global one, which
is for the user's code.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bandstand.errors import BandstandError
from bandstand.extras import EXTRAS, lacks, missing_packages

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["TRACE_PARENT", "Span", "are_traced", "begin_traces", "flush_traces", "span"]

TRACE_PARENT = "TRACEPARENT"
"""The variable that carries a trace into a process, as OpenTelemetry has it. It is no secret."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_SECONDS = 5.0
"""A collector that does not answer holds up the end of a study for so long at most."""
_log = logging.getLogger(__name__)
About: TypeAlias = Mapping[str, str | float | None]


class Span(Protocol):
    """What is under way."""

    @property
    def parent_for_others(self) -> str | None:
        """What another process gives as `parent`; None where there are no traces."""
        ...

    def tell(self, about: About) -> None:
        """Add attributes; None stands for none."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that is known by now."""
        ...

    def fail(self, message: str) -> None:
        """It has come to a bad end, though nothing is raised."""
        ...


def begin_traces(service: str, parent: str | None = None) -> None:
    """Send this process's spans from now on, if a collector is named and the extra `otel` is installed.

    Args:
        service: what this process is, unless OTEL_SERVICE_NAME says it.
        parent: of spans that are given none.
    """
    _Process.parent = parent
    if _Process.provider is not None or not any(map(os.environ.get, _ENDPOINTS)):
        return
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    missing = missing_packages(EXTRAS["otel"].packages)
    if missing:  # the variable may be there for other programs
        _log.warning("%s", lacks("otel", "a collector that OTEL_EXPORTER_OTLP_ENDPOINT names", missing))
        return
    _Process.provider = _make_provider(service)


def are_traced() -> bool:
    """Whether this process sends spans."""
    return _Process.provider is not None


def flush_traces() -> None:
    """Send what has ended, because this process may be killed from now on."""
    if _Process.provider is not None:  # its own limits are ten seconds for each batch, whatever it is asked for
        sending = threading.Thread(target=_Process.provider.force_flush, name="traces", daemon=True)
        sending.start()
        sending.join(_FLUSH_SECONDS)


@contextmanager
def span(name: str, about: About, *, parent: str | None = None, kind: str = "internal") -> Iterator[Span]:
    """What happens inside is a span. What is raised marks it as failed.

    Args:
        name: what it is, without the names of things, so that like ones can be counted.
        about: its attributes; None stands for none.
        parent: `parent_for_others` of another one; that of the process when left out.
        kind: of OpenTelemetry: internal, server, producer.
    """
    if _Process.provider is None:
        yield _NONE
        return
    from opentelemetry.trace import SpanKind

    begun = _Process.provider.get_tracer("bandstand").start_span(
        name, _context_of(parent or _Process.parent), SpanKind[kind.upper()], _attributes(about)
    )
    try:
        yield _SentSpan(begun)
    except BaseException as error:
        what = type(error).__name__
        # Messages of others may hold anything.
        _SentSpan(begun).fail(f"{what}: {error}" if isinstance(error, BandstandError) else what)
        raise
    finally:
        begun.end()


class _Process:
    """What holds for this process."""

    provider: TracerProvider | None = None
    parent: str | None = None


class _NoSpan:
    """Where there are no traces."""

    parent_for_others: str | None = None

    def tell(self, about: About) -> None:
        """Nothing."""

    def rename(self, name: str) -> None:
        """Nothing."""

    def fail(self, message: str) -> None:
        """Nothing."""


_NONE = _NoSpan()


class _SentSpan:
    """One of OpenTelemetry's."""

    def __init__(self, begun: Any):
        self._begun = begun

    @property
    def parent_for_others(self) -> str | None:
        """As `Span.parent_for_others`: the header of W3C."""
        context = self._begun.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def tell(self, about: About) -> None:
        """As `Span.tell`."""
        self._begun.set_attributes(_attributes(about))

    def rename(self, name: str) -> None:
        """As `Span.rename`."""
        self._begun.update_name(name)

    def fail(self, message: str) -> None:
        """As `Span.fail`."""
        from opentelemetry.trace import Status, StatusCode

        self._begun.set_status(Status(StatusCode.ERROR, message))


def _attributes(about: About) -> dict[str, str | float]:
    return {name: value for name, value in about.items() if value is not None}


def _context_of(parent: str | None) -> Context:
    """Where a span begins; a parent that is none begins a trace."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {}, Context())


def _make_provider(service: str) -> TracerProvider:
    """Sends spans in a thread of its own, as OpenTelemetry's variables say, and what is left when the process exits."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
