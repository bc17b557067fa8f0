"""Manifests of other projects' kinds against the schemas that these projects publish.

The schemas are large and not ours to ship: they are read from the folder `schemas` of the data folder, as
`schemas/PROJECT/VERSION/*.yaml`, each file a CustomResourceDefinition as that version of the project has it.
"""

from __future__ import annotations

import copy
import functools
import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.deploy.manifests import DEPLOY, load_all, render

VERSIONS = {
    "ray.io": ("kuberay", ["v1.5.1", "v1.6.2"]),
    "postgresql.cnpg.io": ("cloudnative-pg", ["v1.30.0"]),
    "monitoring.coreos.com": ("prometheus-operator", ["v0.93.0"]),
}
MANIFESTS = render(Path(__file__).parent / "everything")
MANIFESTS += load_all(DEPLOY / "kubernetes" / "examples" / "ray-job.yaml")
CASES = [
    pytest.param(project, version, one, id=f"{project} {version} {one['kind']} {one['metadata']['name']}")
    for group, (project, versions) in VERSIONS.items()
    for version in versions
    for one in MANIFESTS
    if one["apiVersion"].startswith(f"{group}/")
]


@functools.cache
def published(project: str, version: str, kind: str, api_version: str):
    folder = Path(os.environ.get("BANDSTAND_DATA", "/nowhere")) / "schemas" / project / version
    if not folder.is_dir():
        pytest.skip(f"the schemas of {project} {version} are not in the data folder")
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text()
        if f"kind: {kind}\n" in text:
            spec = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
            if spec["names"]["kind"] == kind:
                (found,) = [one for one in spec["versions"] if f"{spec['group']}/{one['name']}" == api_version]
                return strict(found["schema"]["openAPIV3Schema"]) | {
                    "additionalProperties": True
                }  # apiVersion and so on
    raise AssertionError(f"{folder} has no schema of {kind}")


def strict(schema):
    """Kubernetes drops a field that the schema does not have; here it is an error."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items() if key != "format"}
    if "(?i)" in str(schema.get("pattern")):
        del out["pattern"]  # Go's, which Python does not read
    is_open = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        out.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
    return out


def errors(manifest, project: str, version: str) -> list[str]:
    schema = published(project, version, manifest["kind"], manifest["apiVersion"])
    return [f"{one.json_path}: {one.message}" for one in jsonschema.Draft202012Validator(schema).iter_errors(manifest)]


@pytest.mark.parametrize(("project", "version", "manifest"), CASES)
def test_a_manifest_is_as_the_project_of_its_kind_publishes(project, version, manifest):
    assert errors(manifest, project, version) == []


def test_a_misspelt_field_of_a_pod_is_found_out():
    wrong = copy.deepcopy(next(one for one in MANIFESTS if one["kind"] == "RayCluster"))
    wrong["spec"]["headGroupSpec"]["template"]["spec"]["terminationGracePeriod"] = 60
    (told,) = errors(wrong, "kuberay", "v1.6.2")
    assert "terminationGracePeriod" in told
