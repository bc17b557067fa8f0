"""The shape of KubeRay's resources, as far as our manifests use them.

KubeRay's own schemas are as large as all pods that there can be. What they say of pods is Kubernetes' own and is
checked by its schemas; what they say beside it stands here, after the API reference of KubeRay 1.5. Where KubeRay's
own schemas are at hand, test_published_schemas takes these.
"""

from __future__ import annotations

from typing import Any

__all__ = ["RAY_CLUSTER", "RAY_JOB"]

_TEMPLATE: dict[str, Any] = {"type": "object", "required": ["spec"]}
_START_PARAMS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}


def _strict(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_CLUSTER_SPEC = _strict(
    ["headGroupSpec"],
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    authOptions=_strict(["mode"], mode={"enum": ["disabled", "token"]}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=_strict(
        [],
        version={"enum": ["v1", "v2"]},
        idleTimeoutSeconds=_COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
        resources={"type": "object"},
        securityContext={"type": "object"},
        volumeMounts={"type": "array"},
    ),
    headGroupSpec=_strict(["template"], rayStartParams=_START_PARAMS, template=_TEMPLATE),
    workerGroupSpecs={
        "type": "array",
        "items": _strict(
            ["groupName", "template"],
            groupName={"type": "string"},
            replicas=_COUNT,
            minReplicas=_COUNT,
            maxReplicas=_COUNT,
            numOfHosts=_COUNT,
            rayStartParams=_START_PARAMS,
            template=_TEMPLATE,
        ),
    },
)


def _resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _strict(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata={"type": "object", "required": ["name"]},
        spec=spec,
    )


RAY_CLUSTER = _resource("RayCluster", _CLUSTER_SPEC)
RAY_JOB = _resource(
    "RayJob",
    _strict(
        ["entrypoint", "rayClusterSpec"],
        entrypoint={"type": "string"},
        backoffLimit=_COUNT,
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=_COUNT,
        submitterPodTemplate=_TEMPLATE,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        rayClusterSpec=_CLUSTER_SPEC,
    ),
)
