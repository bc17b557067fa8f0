"""The figures that a server has for Prometheus, from the metrics themselves."""

from __future__ import annotations

from unittest.mock import MagicMock

from bandstand.api.routes.metrics import Metrics
from bandstand.store.monitoring.coordinator_counts import CoordinatorCounts
from bandstand.store.monitoring.database_counts import DatabaseCounts
from docs.generating.markdown import code, page, table

__all__ = ["make"]


def make() -> str:
    """The page."""
    one = {"running": 1}
    store, feeds = MagicMock(), MagicMock(watchers=0)
    store.monitoring.counts.return_value = DatabaseCounts(
        studies=one, trials=one, submissions=one, runs=one, oldest_seconds=0.0, epochs=1,
        coordinators={"digits": CoordinatorCounts()},
    )  # fmt: skip
    metrics = Metrics(store, feeds)
    metrics.requests.labels("GET", "/studies", 200).inc()
    metrics.seconds.labels("GET", "/studies").observe(0.01)
    metrics.text()
    rows = []
    for family in sorted(metrics.registry.collect(), key=lambda family: family.name):
        labels = [name for name in family.samples[0].labels if name != "le"]
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((code(name), family.type, ", ".join(map(code, labels)), family.documentation))
    return page(
        "Metrics",
        "A server answers `GET /metrics` with these figures, in the format of Prometheus. The request needs the "
        "token of a "
        "viewer. Figures from the database may be some seconds old.",
        table(("metric", "kind", "labels", "meaning"), rows),
    )
