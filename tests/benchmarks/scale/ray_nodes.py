"""32 trainers over four Ray nodes: the real coordinator, and trainers that only report, each in a process of its own.

The nodes are four raylets on this machine (`ray.cluster_utils`), so this shows that nothing depends on one node, and
not how fast a cluster is. Half of the way one node with its eight trainers is taken away: the study goes on with the
others, and its trials begin again. Latency is from a trainer's report to the durable answer.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

from bandstand.store.store import Store
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section
from tests.benchmarks.scale.light_trainers import LightTrainer, make_coordinator
from tests.benchmarks.scale.made_studies import made_spec

__all__ = ["main"]

NODES = 4
TRAINERS = 32
EPOCH_SECONDS = 1.0
SECONDS = 60.0


def main(repeats: int, peers: bool, nodes: int = NODES, trainers: int = TRAINERS) -> Section:
    """What one run came to."""
    found = run_cell(run_on_nodes, nodes, trainers, SECONDS)
    lines = [f"| {' | '.join(found)} |", "| --- " * len(found) + "|"]
    lines.append(f"| {' | '.join(f'{value:,.0f}' for value in found.values())} |")
    title = f"{trainers} trainers over {nodes} Ray nodes, one of which goes"
    return Section(title=title, lines=lines)


def run_on_nodes(nodes: int, trainers: int, seconds: float) -> dict[str, float]:
    """The figures of a study that runs for so long; half of the way the last node goes."""
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    from bandstand.store.embedded import embedded_url

    url = embedded_url()
    store = Store(url)
    import ray
    from ray.cluster_utils import Cluster
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    each = trainers // nodes
    began = time.monotonic()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": each, "include_dashboard": False})
    others = [cluster.add_node(num_cpus=each) for _ in range(nodes - 1)]
    ray.init(address=cluster.address, log_to_driver=False)
    actor = ray.remote(num_cpus=1, max_concurrency=100)(LightTrainer)
    made = {}
    for node in ray.nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        for number in range(each):
            handle = actor.options(scheduling_strategy=there).remote(EPOCH_SECONDS)
            made[f"{node['NodeID'][:6]}-{number}"] = handle
    ray.get([handle.process.remote() for handle in made.values()])
    up = time.monotonic() - began
    spec = made_spec("nodes", trials=1, epochs=27, pruner="asha", budget={"wall_seconds": seconds})
    outcome = make_coordinator(spec, url).run.remote(made)
    ray.wait([outcome], timeout=seconds / 2)
    before = _reports(store)
    cluster.remove_node(others[-1], allow_graceful=False)
    ended = ray.get(outcome)
    assert ended.state == "finished", ended
    latencies = sorted(latency for handle in made.values() for latency in _latencies_of(ray, handle))
    progress = store.progress("nodes")
    ray.shutdown()
    cluster.shutdown()
    reports = _reports(store)
    store.close()
    return {
        "trainers": len(made),
        "nodes": nodes,
        "up in, s": up,
        "reports/s before": before / (seconds / 2),
        "reports/s after": (reports - before) / (seconds / 2),
        "trials": sum(progress.counts.values()),
        "failed": progress.counts.get("failed", 0),
        "median, ms": 1000 * statistics.median(latencies),
        "99th percentile, ms": 1000 * latencies[len(latencies) * 99 // 100],
    }


def _reports(store: Store) -> int:
    return store.progress("nodes").epochs


def _latencies_of(ray: Any, handle: Any) -> list[float]:
    try:
        return list(ray.get(handle.latencies.remote(), timeout=20))
    except ray.exceptions.RayActorError:  # of the node that went
        return []
