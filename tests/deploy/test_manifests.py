"""Every file under deploy/ is what its format asks for, and says the same of things that several of them say.

None of it has been run on a cluster by these tests: deploy/README.md says so.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.kuberay import RAY_CLUSTER, RAY_JOB
from tests.deploy.manifests import DEPLOY, containers, load_all, pod_templates, render
from tests.deploy.operator import AGENT_PORT, autoscaler_container, labelled

ROOT = DEPLOY.parent
KUBERNETES = "1.33"
OVERLAYS = [DEPLOY / "kubernetes" / "overlays" / name for name in ("cpu", "gpu")]
RENDERED = [(overlay.name, manifest) for overlay in OVERLAYS for manifest in render(overlay)]
RENDERED += [("everything", manifest) for manifest in render(Path(__file__).parent / "everything")]
RENDERED += [("migration", manifest) for manifest in render(DEPLOY / "kubernetes" / "migration")]
RENDERED += [("example", one) for one in load_all(DEPLOY / "kubernetes" / "examples" / "ray-job.yaml")]
LABELS = [f"{source}: {manifest['kind']} {manifest['metadata']['name']}" for source, manifest in RENDERED]
PODS = [(f"{source} {name}", template) for source, manifest in RENDERED for name, template in pod_templates(manifest)]


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@pytest.mark.parametrize(("source", "manifest"), RENDERED, ids=LABELS)
def test_a_manifest_is_of_its_kind(source, manifest):
    match manifest["apiVersion"]:
        case "ray.io/v1":
            jsonschema.validate(manifest, {"RayCluster": RAY_CLUSTER, "RayJob": RAY_JOB}[manifest["kind"]])
        case "postgresql.cnpg.io/v1" if manifest["kind"] == "Cluster":
            assert manifest["spec"]["instances"] >= 2
            assert manifest["spec"]["bootstrap"]["initdb"] == {"database": "bandstand", "owner": "bandstand"}
        case "postgresql.cnpg.io/v1" | "monitoring.coreos.com/v1":
            pass  # test_published_schemas, test_monitoring and test_backup look at these
        case _:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize(("name", "template"), PODS, ids=[name for name, _ in PODS])
def test_a_pod_is_one_that_kubernetes_takes_without_rights_it_does_not_need(name, template):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": template["spec"]}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["enableServiceLinks"] is False  # else a service `bandstand` is a variable BANDSTAND_PORT
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in containers(template):
        assert "limits" in container["resources"], container["name"]
        literal = [one["name"] for one in container.get("env", []) if "TOKEN" in one["name"] and "value" in one]
        assert literal == []
        assert all("://" not in one.get("value", "") or "@" not in one["value"] for one in container.get("env", []))
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(("name", "template"), PODS, ids=[name for name, _ in PODS])
def test_a_pod_that_mounts_checkpoints_may_write_them(name, template):
    claims = [
        volume.get("persistentVolumeClaim", {}).get("claimName") for volume in template["spec"].get("volumes", [])
    ]
    if "checkpoints" in claims:
        assert template["spec"]["securityContext"]["fsGroup"] == 10001
        assert template["spec"]["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


@pytest.mark.parametrize("manifest", [one for _, one in RENDERED if one["kind"] in ("RayCluster", "RayJob")], ids=str)
def test_the_token_of_the_autoscaler_is_in_its_container_alone(manifest):
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    head = spec["headGroupSpec"]["template"]["spec"]
    paths = [mount["mountPath"] for one in containers({"spec": head}) for mount in one["volumeMounts"]]
    assert token not in paths
    if spec.get("enableInTreeAutoscaling"):
        mounts = {mount["mountPath"]: mount["name"] for mount in autoscaler_container(spec)["volumeMounts"]}
        (volume,) = [one for one in head["volumes"] if one["name"] == mounts[token]]
        files = [next(iter(source)) for source in volume["projected"]["sources"]]
        assert files == ["serviceAccountToken", "configMap", "downwardAPI"]  # token, ca.crt, namespace
    else:
        assert "kubernetes.io" not in json.dumps(head["volumes"])


def test_training_data_is_mounted_for_reading_wherever_code_runs():
    (cluster,) = [one for source, one in RENDERED if source == "everything" and one["kind"] == "RayCluster"]
    for name, template in pod_templates(cluster):
        (container,) = template["spec"]["containers"]
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "training-data"]
        assert mount["readOnly"] is True, name
        assert {"name": "BANDSTAND_DATA", "value": mount["mountPath"]} in container["env"]
        assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_no_node_that_runs_submitted_code_has_the_databases_url():
    """A job is given a login of its own. The example alone has no server: whoever applies it runs code of their own."""
    for name, template in PODS:
        has = any(
            one["name"] == "BANDSTAND_DATABASE_URL" for part in containers(template) for one in part.get("env", [])
        )
        assert has is ("RayCluster" not in name and not name.endswith((" cpu", " submitter"))), name
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    told = [name for name, one in services.items() if "BANDSTAND_DATABASE_URL" in one.get("environment", {})]
    assert told == ["bandstand"]


def test_the_databases_role_may_make_the_logins_of_jobs():
    (database,) = [one for one in render(OVERLAYS[0]) if one["kind"] == "Cluster"]
    owner = database["spec"]["bootstrap"]["initdb"]["owner"]
    (role,) = database["spec"]["managed"]["roles"]
    assert (role["name"], role["createrole"], role["login"]) == (owner, True, True)
    assert "passwordSecret" not in role, "CloudNativePG has made the password, and keeps it"


def test_every_volume_is_mounted_and_every_mount_is_a_volume():
    for name, template in PODS:
        mounted = {mount["name"] for one in containers(template) for mount in one.get("volumeMounts", [])}
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        assert mounted == volumes - {"kubernetes-token"}, name


def test_the_head_is_not_taken_away_by_a_drained_node_and_has_time_to_end():
    (cluster,) = [one for one in render(OVERLAYS[0]) if one["kind"] == "RayCluster"]
    head = cluster["spec"]["headGroupSpec"]["template"]
    labels = labelled(head, cluster="ray", group=None)
    budgets = [one["spec"] for one in render(OVERLAYS[0]) if one["kind"] == "PodDisruptionBudget"]
    mine = [one for one in budgets if one["selector"]["matchLabels"].items() <= labels.items()]
    assert [one["minAvailable"] for one in mine] == [1]  # the only form that counts for pods of a custom resource
    assert head["spec"]["terminationGracePeriodSeconds"] == 60


def test_the_migration_upgrades_with_the_image_of_the_overlay():
    (job,) = render(DEPLOY / "kubernetes" / "migration")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (deployment,) = [one for one in render(OVERLAYS[0]) if one["kind"] == "Deployment"]
    assert container["image"] == deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert container["args"] == ["db", "upgrade"]
    assert job["metadata"]["namespace"] == "bandstand"


def test_the_gpu_overlay_adds_workers_that_ask_for_a_gpu():
    (cluster,) = [one for one in render(OVERLAYS[1]) if one["kind"] == "RayCluster"]
    groups = {group["groupName"]: group for group in cluster["spec"]["workerGroupSpecs"]}
    (container,) = groups["gpu"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].endswith("-gpu")
    assert groups["cpu"]["template"]["spec"]["containers"][0]["image"].endswith("-cpu")


def test_every_network_policy_selects_pods_that_there_are():
    manifests = render(OVERLAYS[1])
    labels = [template["metadata"]["labels"] for _, template in PODS]
    labels += [labelled(template, cluster="ray", group=None) for name, template in PODS if name.endswith("head")]
    labels.append({"cnpg.io/cluster": next(one["metadata"]["name"] for one in manifests if one["kind"] == "Cluster")})
    for policy in (one for one in manifests if one["kind"] == "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        assert any(wanted.items() <= have.items() for have in labels), policy["metadata"]["name"]


def test_the_compose_file_follows_the_compose_specification():
    files = [str(DEPLOY / name) for name in ("compose.yaml", "compose.gpu.yaml")]
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_of_the_compose_file_stands_in_the_example_without_a_value():
    text = (DEPLOY / "compose.yaml").read_text()
    example = (DEPLOY / "environment.example").read_text()
    secrets = set(re.findall(r"\$\{(\w+):\?", text))
    assert secrets == {line.split("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")}
    assert all(line.endswith("=") for line in example.splitlines() if not line.startswith("#"))
    assert set(re.findall(r"\$\{(\w+):-", text)) == set(re.findall(r"^# (\w+)=", example, re.MULTILINE))
    services = yaml.safe_load(text)["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert all(str(port).startswith("127.0.0.1:") for port in published)


def composed():
    """The services of the Compose file, and those with the file for GPUs over it."""
    base = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    over = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]
    return base, {name: service | over.get(name, {}) for name, service in base.items()}


def test_one_worker_has_the_cpus_of_the_machine_with_and_without_gpus():
    for services in composed():
        starts = [name for name, one in services.items() if one.get("entrypoint", [])[:2] == ["ray", "start"]]
        assert sorted(starts) == ["ray-head", "ray-worker"]
        assert "--num-cpus=0" in services["ray-head"]["entrypoint"]
    assert composed()[1]["ray-worker"]["image"].endswith("-gpu")
    assert set(composed()[1]) == set(composed()[0])


def test_a_worker_of_the_compose_file_tells_of_itself_and_is_given_time_to_drain():
    services = composed()[0]
    for name in ("ray-head", "ray-worker"):
        assert f"127.0.0.1:{AGENT_PORT}/api/healthz" in services[name]["healthcheck"]["test"][-1]
    for name, service in services.items():
        assert int(service["stop_grace_period"].removesuffix("s")) > 30, name  # Ray drains a node for that long
    assert all("6379" not in str(port) for service in services.values() for port in service.get("ports", []))


def test_the_server_of_the_compose_file_believes_its_gateway_alone():
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (network,) = whole["networks"]["default"]["ipam"]["config"]
    command = whole["services"]["bandstand"]["command"]
    assert command[command.index("--proxies") + 1] == network["gateway"]


def test_secrets_of_the_compose_file_do_not_get_into_git():
    done = subprocess.run(
        ["git", "check-ignore", "deploy/.env", "deploy/data/x.csv"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    assert done.stdout.split() == ["deploy/.env", "deploy/data/x.csv"]


def test_the_dockerfile_pleases_its_linter():
    done = subprocess.run([tool("hadolint"), str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_runs_as_nobody_special_and_gets_all_that_the_package_is_made_of():
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    assert text.rstrip().split("FROM ")[-1].startswith("runtime AS cpu")  # the default target
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        folder = package.split("/")[0]
        assert f"COPY {folder} {folder}\n" in text
        assert f"!{folder}\n" in (ROOT / ".dockerignore").read_text()


def test_ray_is_of_one_version_everywhere():
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    found = [
        manifest["spec"].get("rayClusterSpec", manifest["spec"])["rayVersion"]
        for _, manifest in RENDERED
        if manifest["kind"] in ("RayCluster", "RayJob")
    ]
    assert set(found) == {pinned.group(1)}


def test_the_cluster_launchers_file_is_one():
    schema = json.loads((resources.files("ray") / "autoscaler" / "ray-schema.json").read_text())
    launcher = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    jsonschema.validate(launcher, schema)


@pytest.fixture
def unit(tmp_path):
    """The unit as systemd reads it, with a program that is there, and the program that analyses it."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here: the unit is not checked")
    path = tmp_path / "bandstand.service"
    path.write_text((DEPLOY / "bandstand.service").read_text().replace("/opt/bandstand/bin/bandstand", sys.executable))
    return analyze, str(path)


def test_systemd_understands_the_unit(unit):
    analyze, path = unit
    done = subprocess.run([analyze, "verify", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_exposed_by_five_of_ten_at_most(unit):
    analyze, path = unit
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=50", path]
    done = subprocess.run(command, capture_output=True, text=True)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd does not judge files")
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_a_trainer_of_the_unit_reaches_gpus_and_may_compile():
    """Each of these would take one of the two away; ProtectClock by closing all devices."""
    lines = (DEPLOY / "bandstand.service").read_text().splitlines()
    named = {line.split("=")[0] for line in lines if not line.startswith("#")}
    assert not named & {"PrivateDevices", "ProtectClock", "DevicePolicy", "DeviceAllow", "MemoryDenyWriteExecute"}


def serve_commands():
    """All ways in which the files start the server, as words after `bandstand`."""
    dockerfile = json.loads(re.findall(r"^CMD (.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[-1])
    unit = re.findall(r"^ExecStart=\S+ (.+)$", (DEPLOY / "bandstand.service").read_text(), re.MULTILINE)[0].split()
    (deployment,) = [one for one in render(OVERLAYS[0]) if one["kind"] == "Deployment"]
    compose = composed()[0]["bandstand"]["command"]
    (by_hand,) = re.findall(r"^  (serve .+)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return [dockerfile, unit, container["args"], compose, by_hand.split()]


@pytest.mark.parametrize("words", serve_commands(), ids=["Dockerfile", "unit", "Deployment", "Compose", "README"])
def test_the_files_start_the_server_with_options_that_it_has(words):
    from typer.main import get_command

    from bandstand.commands.cli import app

    command = get_command(app).commands[words[0]]  # type: ignore[attr-defined]  # click's groups have them
    command.make_context("bandstand serve", words[1:], resilient_parsing=False).close()
    assert words[0] == "serve"


@pytest.mark.slow
def test_the_images_installation_works_in_an_empty_environment(tmp_path):
    """The Dockerfile's own RUN steps for the CPU image, in a virtual environment of their own."""
    text = (DEPLOY / "Dockerfile").read_text()
    (install,) = re.findall(r"^RUN (pip install -c constraints.txt '\.\[workers.+\]') \\$", text, re.MULTILINE)
    packages = text.split("AS packages\n")[1].split("\nFROM")[0]
    source = tmp_path / "src"
    source.mkdir()
    for name in re.findall(r"^COPY (.+)$", packages, re.MULTILINE):
        for part in name.split()[:-1]:
            path = ROOT / part
            if path.is_dir():
                shutil.copytree(path, source / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, source / part)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "environment")], check=True)
    environment = {"PATH": f"{tmp_path}/environment/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(install, shell=True, check=True, cwd=source, env=environment)
    shown = subprocess.run(
        ["bandstand", "--version"], check=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
        executable=f"{tmp_path}/environment/bin/bandstand",
    )  # fmt: skip
    assert shown.stdout.startswith("bandstand ")
