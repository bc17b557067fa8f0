"""The Kubernetes manifests as kubectl would get them: bases, overlays, components, patches, images."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

__all__ = ["DEPLOY", "containers", "load_all", "pod_templates", "render"]

DEPLOY = Path(__file__).parents[2] / "deploy"
_KNOWN = {"apiVersion", "kind", "namespace", "labels", "resources", "components", "images", "patches"}
_CLUSTER_WIDE = {"Namespace", "PersistentVolume", "StorageClass"}
Manifest = dict[str, Any]


def load_all(path: Path) -> list[Manifest]:
    # Through JSON: what an alias repeats is a copy of its own, as in kubectl, so that a patch changes one of them.
    return [json.loads(json.dumps(document)) for document in yaml.safe_load_all(path.read_text()) if document]


def render(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize` prints, of the features that our overlays use; test_rendering compares the two."""
    return _render(folder, [])


def _render(folder: Path, found: list[Manifest]) -> list[Manifest]:
    own = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(own) <= _KNOWN, f"this renderer does not know {set(own) - _KNOWN}"
    for resource in own.get("resources", []):
        path = folder / resource
        assert path.exists(), path
        found = found + (_render(path, []) if path.is_dir() else load_all(path))
    for component in own.get("components", []):
        found = _render(folder / component, found)  # a component sees and changes what its user has so far
    for patch in own.get("patches", []):
        found = _patched(found, patch, folder)
    for manifest in found:
        if "namespace" in own and manifest["kind"] not in _CLUSTER_WIDE:
            manifest["metadata"].setdefault("namespace", own["namespace"])
        for labels in own.get("labels", []):
            manifest["metadata"].setdefault("labels", {}).update(labels["pairs"])
        for image in own.get("images", []):
            _set_image(manifest, image)
    return found


def _patched(found: list[Manifest], patch: Manifest, folder: Path) -> list[Manifest]:
    target = patch["target"]
    hits = [
        index
        for index, manifest in enumerate(found)
        if manifest["kind"] == target["kind"]
        and manifest["metadata"]["name"] == target.get("name", manifest["metadata"]["name"])
    ]
    assert len(hits) == 1, f"{patch.get('path', target)} must have one target; it has {len(hits)}"
    operations = yaml.safe_load(patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text())
    changed = list(found)
    changed[hits[0]] = jsonpatch.apply_patch(copy.deepcopy(found[hits[0]]), operations)
    return changed


def _set_image(node: Any, image: dict[str, str]) -> None:
    for container in _containers(node):
        if container["image"].split(":")[0] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"


def _containers(node: Any) -> Iterator[Manifest]:
    """Kustomize sets the images of everything that is called a container, whatever kind it stands in."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("containers", "initContainers"):
                yield from value
            else:
                yield from _containers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _containers(value)


def pod_templates(manifest: Manifest) -> list[tuple[str, Manifest]]:
    """All pods that a manifest makes, with a name for each."""
    kind, name, spec = manifest["kind"], manifest["metadata"]["name"], manifest.get("spec", {})
    match kind:
        case "Deployment" | "Job":
            return [(f"{kind} {name}", spec["template"])]
        case "CronJob":
            return [(f"{kind} {name}", spec["jobTemplate"]["spec"]["template"])]
        case "RayCluster" | "RayJob":
            cluster = spec.get("rayClusterSpec", spec)
            groups = [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", [])]
            pods = [(f"{kind} {group.get('groupName', 'head')}", group["template"]) for group in groups]
            return pods + ([(f"{kind} submitter", spec["submitterPodTemplate"])] if kind == "RayJob" else [])
        case _:
            return []


def containers(template: Manifest) -> list[Manifest]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
