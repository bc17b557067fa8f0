"""Alert rules and the dashboard ask for metrics that the server has."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from urllib.parse import urlsplit

import promql_parser
import pytest

from bandstand.api.routes.metrics import Metrics
from bandstand.store.monitoring.coordinator_counts import CoordinatorCounts
from bandstand.store.monitoring.database_counts import DatabaseCounts
from bandstand.study.states import RunState
from tests.deploy.manifests import DEPLOY, containers, load_all, pod_templates, render
from tests.deploy.reachability import Peer, allowed

FOLDER = DEPLOY / "kubernetes" / "components" / "monitoring"
(RULES,) = [one for one in load_all(FOLDER / "rules.yaml") if one["kind"] == "PrometheusRule"]
ALERTS = {rule["alert"]: rule for group in RULES["spec"]["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in DASHBOARD["panels"]}
EXPRESSIONS = {name: rule["expr"] for name, rule in ALERTS.items()}
EXPRESSIONS |= {f"{title} {number}": text for title, texts in PANELS.items() for number, text in enumerate(texts)}
FOREIGN = {"up", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"}
"""Of Prometheus and the kubelet."""


def served_names() -> set[str]:
    """Every name of a sample of /metrics, from a server with one study that runs."""
    counts = DatabaseCounts(
        studies={"running": 1}, trials={"complete": 1}, submissions={"queued": 1}, runs={"failed": 1}, epochs=9,
        oldest_seconds=1.0, coordinators={"digits": CoordinatorCounts(trainers=2)},
    )  # fmt: skip
    store = SimpleNamespace(monitoring=SimpleNamespace(counts=lambda: counts))
    metrics = Metrics(store, SimpleNamespace(watchers=0))
    metrics.requests.labels("GET", "/studies", 200).inc()
    metrics.seconds.labels("GET", "/studies").observe(0.01)
    return {re.split(r"[{ ]", line)[0] for line in metrics.text().decode().splitlines() if not line.startswith("#")}


NAMES = served_names()


def asked_names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:bandstand|kubelet)_\w+|\bup\b", re.sub(r"\{[^}]*\}|\"[^\"]*\"", "", expression)))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_is_promql_about_metrics_that_there_are(name):
    promql_parser.parse(EXPRESSIONS[name])
    asked = asked_names(EXPRESSIONS[name])
    assert asked
    assert asked <= NAMES | FOREIGN


def test_a_misspelt_metric_would_be_found_out():
    assert not asked_names("max(bandstand_queue_seconds) > 1") <= NAMES | FOREIGN


def test_states_that_are_asked_for_are_states_of_runs():
    asked = re.findall(r"bandstand_runs\{state=~?\"([^\"]+)\"\}", " ".join(EXPRESSIONS.values()))
    assert {state for text in asked for state in text.split("|")} <= {state.value for state in RunState}
    assert asked


def test_it_rings_for_what_is_to_be_watched():
    wanted = {"bandstand_queue_oldest_seconds", 'state="failed"', 'state="lost"', "bandstand_idle_seconds_total",
              "kubelet_volume_stats_available_bytes", "up{"}  # fmt: skip
    texts = " ".join(rule["expr"] for rule in ALERTS.values())
    assert all(one in texts for one in wanted)
    assert all(rule["annotations"]["summary"].endswith(".") for rule in ALERTS.values())


def test_what_is_scraped_is_there_under_that_name_and_port():
    monitors = {one["kind"]: one["spec"] for one in load_all(FOLDER / "monitors.yaml")}
    (service,) = [one for one in load_all(DEPLOY / "kubernetes" / "base" / "server.yaml") if one["kind"] == "Service"]
    assert monitors["ServiceMonitor"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {one["port"] for one in monitors["ServiceMonitor"]["endpoints"]} <= {
        one["name"] for one in service["spec"]["ports"]
    }
    (cluster,) = [
        one for one in load_all(DEPLOY / "kubernetes" / "base" / "ray-cluster.yaml") if one["kind"] == "RayCluster"
    ]
    head = cluster["spec"]["headGroupSpec"]["template"]
    assert monitors["PodMonitor"]["selector"]["matchLabels"].items() <= head["metadata"]["labels"].items()
    assert {"name": "metrics", "containerPort": 8080} in head["spec"]["containers"][0]["ports"]


def test_servers_and_heads_reach_the_collector_that_they_are_told_of_and_workers_do_not():
    manifests = render(DEPLOY.parent / "tests" / "deploy" / "everything")
    told = {}
    for manifest in manifests:
        for name, template in pod_templates(manifest):
            for one in (one for part in containers(template) for one in part.get("env", [])):
                if one["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT":
                    told[name] = one["value"]
    assert set(told) == {"Deployment bandstand", "RayCluster head"}
    (address,) = set(told.values())
    port = urlsplit(address).port
    policies = [one for one in manifests if one["kind"] == "NetworkPolicy"]
    collector = Peer({}, "observability", {"bandstand/traces": "allowed"})
    ray = {"app.kubernetes.io/name": "ray"}
    for labels, may in (
        ({"app.kubernetes.io/name": "bandstand"}, True),
        (ray | {"ray.io/node-type": "head"}, True),
        (ray | {"ray.io/node-type": "worker"}, False),
        ({"app.kubernetes.io/name": "bandstand-migration"}, False),
    ):
        assert allowed(policies, Peer(labels), collector, port) is may, labels
        assert not allowed(policies, Peer(labels), Peer({}, "default"), port), labels
