"""What the KubeRay operator makes of our resources: labels, containers and commands that it adds.

After the sources of KubeRay 1.5.1 and 1.6.2 (`ray-operator/controllers/ray/common/pod.go` and `job.go`).
"""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["AGENT_PORT", "OPERATOR_LABELS", "RAY_COMMANDS", "autoscaler_container", "labelled"]

AGENT_PORT = 52365
"""Of the dashboard's agent on every node, which answers /api/healthz."""

OPERATOR_LABELS = [
    {"app.kubernetes.io/name": "kuberay-operator", "app.kubernetes.io/component": "kuberay-operator"},  # the Helm chart
    {"app.kubernetes.io/name": "kuberay", "app.kubernetes.io/component": "kuberay-operator"},  # its kustomize files
]

RAY_COMMANDS = [
    # a head's or worker's container, and wait-gcs-ready before the worker's
    "/bin/bash -c -- 'ulimit -n 65536; ray start --head --block'",
    "/bin/bash -c -- 'if ray health-check --address ADDRESS > /dev/null 2>&1; then echo ready; fi; sleep 5'",
    "/bin/bash -c -- 'ray kuberay-autoscaler --cluster-name NAME --cluster-namespace NAMESPACE'",
    # the submitter
    "/bin/bash -ce -- 'if ! ray job status --address URL ID >/dev/null 2>&1; then ray job submit --address URL "
    "--no-wait --submission-id ID -- ENTRYPOINT; fi; ray job logs --address URL --follow ID'",
]
"""Every command that is run in our image, with what stands for a name in capitals."""


def labelled(template: dict[str, Any], *, cluster: str, group: str | None) -> dict[str, str]:
    """The labels that a pod of a Ray cluster has in the end; None is the head's group. Three cannot be overridden."""
    own = {
        "ray.io/cluster": cluster,
        "ray.io/node-type": "worker" if group else "head",
        "ray.io/group": group or "headgroup",
    }
    return {"app.kubernetes.io/name": "kuberay"} | template["metadata"].get("labels", {}) | own


def autoscaler_container(cluster_spec: dict[str, Any]) -> dict[str, Any]:
    """The container that stands beside the head's where the cluster grows and shrinks."""
    options = cluster_spec.get("autoscalerOptions", {})
    own = {
        name: copy.deepcopy(options[name])
        for name in ("resources", "securityContext", "volumeMounts")
        if name in options
    }
    return {
        "name": "autoscaler",
        "image": cluster_spec["headGroupSpec"]["template"]["spec"]["containers"][0]["image"],
    } | own
