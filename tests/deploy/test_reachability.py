"""What must reach another part does; all else does not."""

from __future__ import annotations

import itertools

import pytest

from tests.deploy.manifests import DEPLOY, load_all, pod_templates, render
from tests.deploy.operator import OPERATOR_LABELS, labelled
from tests.deploy.reachability import Peer, allowed

FOLDERS = DEPLOY / "kubernetes"
MANIFESTS = render(FOLDERS / "overlays" / "gpu")
POLICIES = [one for one in MANIFESTS if one["kind"] == "NetworkPolicy"]
(RAY_JOB,) = load_all(FOLDERS / "examples" / "ray-job.yaml")


def own_labels(manifests, kind, name):
    (template,) = [template for one in manifests for found, template in pod_templates(one) if found == f"{kind} {name}"]
    return template["metadata"]["labels"]


def ray(name, cluster="ray", group=None, manifests=tuple(MANIFESTS)):
    kind = "RayJob" if cluster != "ray" else "RayCluster"
    (template,) = [t for one in manifests for found, t in pod_templates(one) if found == f"{kind} {name}"]
    return Peer(labelled(template, cluster=cluster, group=group))


def elsewhere(labels, namespace, **namespace_labels):
    return Peer(labels, namespace, {key.replace("__", "/"): value for key, value in namespace_labels.items()})


PEERS = {
    "server": Peer(own_labels(MANIFESTS, "Deployment", "bandstand")),
    "head": ray("head"),
    "worker": ray("cpu", group="cpu"),
    "gpu worker": ray("gpu", group="gpu"),
    "head of a job": ray("head", cluster="digits-x", manifests=(RAY_JOB,)),
    "worker of a job": ray("cpu", cluster="digits-x", group="cpu", manifests=(RAY_JOB,)),
    "submitter": Peer(own_labels([RAY_JOB], "RayJob", "submitter")),
    "migration": Peer(own_labels(render(FOLDERS / "migration"), "Job", "migration")),
    "database": Peer({"cnpg.io/cluster": "bandstand-db"}),
    "operator by Helm": elsewhere(OPERATOR_LABELS[0], "kuberay-system"),
    "operator by kustomize": elsewhere(OPERATOR_LABELS[1], "ray-system"),
    "database's operator": elsewhere({"app.kubernetes.io/name": "cloudnative-pg"}, "cnpg-system"),
    "prometheus": elsewhere({"app.kubernetes.io/name": "prometheus"}, "monitoring", bandstand__monitoring="allowed"),
    "ingress": elsewhere({"app.kubernetes.io/name": "ingress-nginx"}, "ingress", bandstand__ingress="allowed"),
    "DNS": elsewhere({"k8s-app": "kube-dns"}, "kube-system"),
    "pod without a label": Peer(),
    "stranger": elsewhere({}, "default"),
    "pretender": elsewhere({"app.kubernetes.io/name": "bandstand"}, "default"),
    "internet": Peer(address="203.0.113.7", is_pod=False),
}
RAY_PODS = ("head", "worker", "gpu worker", "head of a job", "worker of a job")
HEADS = ("head", "head of a job")
PORTS = {
    "database": 5432, "web": 8080, "GCS": 6379, "jobs": 8265, "client": 10001, "raylet": 30123, "agent": 52365,
    "status": 8000, "https": 443, "API": 6443,
}  # fmt: skip

MUST = {
    *((one, "server", "web") for one in ("ingress", "prometheus")),
    *(
        (one, head, "jobs")
        for one in ("server", "submitter", "operator by Helm", "operator by kustomize")
        for head in HEADS
    ),
    *((one, "database", "database") for one in ("server", "migration", *HEADS)),
    *((one, other, port) for one in RAY_PODS for other in RAY_PODS for port in PORTS),
    *(("prometheus", one, "web") for one in RAY_PODS),  # Ray's own metrics
    *(("database", "database", port) for port in PORTS),
    *(("database's operator", "database", port) for port in PORTS),
    *((one, "internet", port) for one in (*HEADS, "database") for port in ("https", "API")),  # the Kubernetes API
}
OUTSIDE = ("prometheus", "ingress", "DNS", "stranger", "pretender", "internet",
           "operator by Helm", "operator by kustomize", "database's operator")  # fmt: skip
"""Whom no policy of ours holds back: what happens between two of them is not asked here."""


def all_questions():
    for source, target, port in itertools.product(PEERS, PEERS, PORTS):
        if not (source in OUTSIDE and target in OUTSIDE):
            yield source, target, port


def wanted(source, target, port):
    # Where any address is allowed, pods of others are, too: their own policies hold these off.
    reaches_all = source in (*HEADS, "database") and port in ("https", "API") and target in OUTSIDE
    return (source, target, port) in MUST or reaches_all


def test_what_must_is_allowed_and_all_else_is_not():
    wrong = [
        f"{source} -> {target} {port}: {'must' if wanted(source, target, port) else 'must not'}"
        for source, target, port in all_questions()
        if allowed(POLICIES, PEERS[source], PEERS[target], PORTS[port]) is not wanted(source, target, port)
    ]
    assert wrong == []


@pytest.mark.parametrize("source", [name for name in PEERS if name not in OUTSIDE])
def test_every_pod_of_ours_asks_for_names_but_reaches_no_name_server_of_somebody_else(source):
    assert allowed(POLICIES, PEERS[source], PEERS["DNS"], 53, "UDP")
    assert allowed(POLICIES, PEERS[source], PEERS["DNS"], 53, "TCP")
    assert not allowed(POLICIES, PEERS[source], PEERS["internet"], 53, "UDP")


def test_without_the_policy_of_the_submitter_a_job_would_hang():
    fewer = [one for one in POLICIES if one["metadata"]["name"] != "ray-submitter"]
    assert not allowed(fewer, PEERS["submitter"], PEERS["head"], 8265)


def test_where_workers_may_reach_port_443_the_table_says_so():
    (policy,) = [one for one in POLICIES if one["metadata"]["name"] == "ray"]
    loose = policy | {"spec": policy["spec"] | {"egress": [*policy["spec"]["egress"], {"ports": [{"port": 443}]}]}}
    others = [one for one in POLICIES if one is not policy]
    assert allowed([*others, loose], PEERS["worker"], PEERS["internet"], 443)
    assert not allowed(POLICIES, PEERS["worker"], PEERS["internet"], 443)
