"""The Kubernetes manifests as kubectl would get them: bases, overlays, patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonpatch
import yaml

__all__ = ["DEPLOY", "load_all", "pod_templates", "render"]

DEPLOY = Path(__file__).parents[2] / "deploy"
Manifest = dict[str, Any]


def load_all(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def render(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize` prints, of the few features that our overlays use."""
    own = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(own) - {"apiVersion", "kind", "namespace", "labels", "resources", "images", "patches"}
    assert not unknown, f"this renderer does not know {unknown}"
    found: list[Manifest] = []
    for resource in own["resources"]:
        path = folder / resource
        assert path.exists(), path
        found += render(path) if path.is_dir() else load_all(path)
    for patch in own.get("patches", []):
        target = patch["target"]
        hits = [
            index
            for index, manifest in enumerate(found)
            if (manifest["kind"], manifest["metadata"]["name"]) == (target["kind"], target["name"])
        ]
        assert len(hits) == 1, f"{patch['path']} must have one target; it has {len(hits)}"
        operations = yaml.safe_load((folder / patch["path"]).read_text())
        found[hits[0]] = jsonpatch.apply_patch(found[hits[0]], operations)
    for image in own.get("images", []):
        for manifest in found:
            _set_image(manifest, image)
    return found


def _set_image(manifest: Manifest, image: dict[str, str]) -> None:
    if manifest["kind"] != "Deployment":  # Kustomize knows the images of its own kinds
        return
    for container in manifest["spec"]["template"]["spec"]["containers"]:
        if container["image"].split(":")[0] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"


def pod_templates(manifest: Manifest) -> list[tuple[str, Manifest]]:
    """All pods that a manifest makes, with a name for each."""
    kind, spec = manifest["kind"], manifest.get("spec", {})
    if kind == "Deployment":
        return [(f"Deployment {manifest['metadata']['name']}", spec["template"])]
    cluster = spec.get("rayClusterSpec", spec) if kind in ("RayCluster", "RayJob") else {}
    groups = [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", [])] if cluster else []
    return [(f"{kind} {group.get('groupName', 'head')}", group["template"]) for group in groups]
