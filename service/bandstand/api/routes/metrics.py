"""Figures for Prometheus: what the database says of studies and queue, and what this process has answered.

Knows names and labels of metrics. Must not know what to conclude from them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandstand.api.access.authentication import Viewer
from bandstand.api.feeds.study_feeds import Feeds
from bandstand.api.schemas.problem_details import answers
from bandstand.store.monitoring.database_counts import DatabaseCounts
from bandstand.store.store import Store

__all__ = ["MeasureRequests", "Metrics", "router"]

router = APIRouter(tags=["operations"])
_CENSUS_SECONDS = 5.0
"""For which what the database said is told again."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The metrics of one server process."""

    def __init__(self, store: Store, feeds: Feeds):
        self._store = store
        self._feeds = feeds
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "bandstand_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "bandstand_http_request_seconds", "Seconds until the first byte of an answer.", ["method", "route"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.registry.register(self)
        self._lock = threading.Lock()
        self._counts: DatabaseCounts | None = None
        self._taken_at = 0.0
        self._epochs = 0

    def text(self) -> bytes:
        """All of them, in Prometheus's format.

        Raises:
            DatabaseUnreachableError: the server went away.
        """
        with self._lock:
            if self._counts is None or time.monotonic() - self._taken_at > _CENSUS_SECONDS:
                before, self._counts = self._counts, self._store.monitoring.counts()
                self._taken_at = time.monotonic()
                # A deleted study takes its epochs with it, and a counter that shrinks would look like a restart.
                self._epochs += max(0, self._counts.epochs - (before.epochs if before else 0))
            return bytes(generate_latest(self.registry))

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not ask the database when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What the database said, for the registry."""
        counts = self._counts
        if counts is None:
            return
        yield _gauge("studies", "Number of studies by state.", "state", counts.studies)
        yield _gauge("trials", "Number of trials by state.", "state", counts.trials)
        yield _gauge("submissions", "Number of submissions by state.", "state", counts.submissions)
        yield _gauge("runs", "Number of jobs by state.", "state", counts.runs)
        yield GaugeMetricFamily(
            "bandstand_queue_oldest_seconds",
            "Seconds that the oldest submission in the queue has waited.",
            counts.oldest_seconds,
        )
        yield CounterMetricFamily("bandstand_epochs", "Number of epochs that all studies have trained.", self._epochs)
        yield GaugeMetricFamily("bandstand_event_streams", "Number of open event streams.", self._feeds.watchers)
        for name, help_text, is_counter in _PULSE:
            kind = CounterMetricFamily if is_counter else GaugeMetricFamily
            family = kind(f"bandstand_{name}", help_text, labels=["study"])
            for study, figures in counts.coordinators.items():
                family.add_metric([study], getattr(figures, name))
            yield family


_PULSE = (
    ("trainers", "Number of trainers of a running study.", False),
    ("busy", "Number of trainers that have work.", False),
    ("trainer_seconds", "Seconds of all trainers, added up.", True),
    ("idle_seconds", "Seconds that trainers were without work, added up.", True),
    ("decisions", "Number of decisions: assignments and answers to reports.", True),
    ("decision_seconds", "Seconds that decisions took.", True),
    ("store_seconds", "Seconds of waiting until decisions were stored.", True),
)
"""Fields of a coordinator's counts, what they are, and whether they only grow."""


def _gauge(name: str, help_text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"bandstand_{name}", help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


class MeasureRequests:
    """Counts requests by route and status, and how long their answers take to begin."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and take its time."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = time.perf_counter()

        async def measure(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.requests.labels(method, route, message["status"]).inc()
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - begin)
            await send(message)

        await self.app(scope, receive, measure)


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


@router.get("/metrics", response_class=PlainTextResponse, responses=answers(401, 422, 429, 503))
def get_metrics(request: Request, token: Viewer) -> PlainTextResponse:
    """Figures for Prometheus; what they say of the database is some seconds old at most."""
    metrics: Metrics = request.app.state.metrics
    return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_LATEST)
