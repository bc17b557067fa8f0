"""The renderer of the tests prints what kubectl prints, and Helm would leave it as it is."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, render

FOLDERS = [
    path.parent
    for path in sorted((DEPLOY / "kubernetes").rglob("kustomization.yaml"))
    if "components" not in path.parts
]
FOLDERS += [path.parent for path in sorted(DEPLOY.parent.glob("tests/deploy/*/kustomization.yaml"))]


def by_name(manifests):
    return {(one["kind"], one["metadata"]["name"]): one for one in manifests}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_our_renderer_and_kubectl_make_the_same_of_a_folder(folder):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here: the renderer of the tests is not compared with it")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert by_name(render(folder)) == by_name(yaml.safe_load_all(done.stdout))


def test_a_patch_an_image_and_a_component_are_rendered_as_kustomize_documents_them(tmp_path):
    files = {
        "base/kustomization.yaml": "namespace: there\nresources: [all.yaml]\n",
        "base/all.yaml": "kind: Deployment\nmetadata: {name: web}\n"
        "spec: {template: {spec: {containers: [{image: app}]}}}\n",
        "component/kustomization.yaml": "kind: Component\npatches:\n- target: {kind: Deployment, name: web}\n"
        "  patch: '[{op: add, path: /spec/replicas, value: 3}]'\n",
        "top/kustomization.yaml": "resources: [../base]\ncomponents: [../component]\n"
        "images: [{name: app, newName: here/app, newTag: '2'}]\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert render(tmp_path / "top") == [
        {
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "there"},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "here/app:2"}]}}},
        }
    ]


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_an_overlay_can_be_the_template_of_a_chart(name):
    """Helm reads what stands in double braces; deploy/README.md names the one component that has some."""
    assert "{{" not in yaml.safe_dump_all(render(DEPLOY / "kubernetes" / "overlays" / name))
    with_braces = {path.parent.name for path in (DEPLOY / "kubernetes").rglob("*.yaml") if "{{" in path.read_text()}
    assert with_braces == {"monitoring"}
    assert "Leave `components/monitoring` out of it" in (DEPLOY / "README.md").read_text()
