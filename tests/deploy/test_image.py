"""The image has what probes, hooks and injected commands call, and finds it in every shell."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.deploy.manifests import DEPLOY, containers, load_all, pod_templates, render
from tests.deploy.operator import AGENT_PORT, RAY_COMMANDS

ROOT = DEPLOY.parent
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PROFILE = DEPLOY / "image" / "profile.sh"
ESSENTIAL = {"bash", "coreutils", "grep", "sed", "findutils", "util-linux"}
"""Packages that every Debian has."""
PACKAGES = {
    "bash": "bash", "/bin/bash": "bash", "sleep": "coreutils", "mkdir": "coreutils", "printenv": "coreutils",
    "true": "coreutils", "dirname": "coreutils", "grep": "grep", "rsync": "rsync", "ssh": "openssh-client",
    "wget": "wget", "curl": "curl", "python": "python", "ray": "ray", "bandstand": "bandstand",
}  # fmt: skip
"""What brings a program."""
KEYWORDS = {"if", "then", "fi", "else", "while", "do", "done", "!", "exec"}
BUILT_IN = {"echo", "ulimit", "source", "export", "set"}


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def installed_packages() -> set[str]:
    (line,) = re.findall(r"apt-get install --yes --no-install-recommends (.+?) \\", DOCKERFILE)
    return ESSENTIAL | set(line.split()) | {"python", "ray", "bandstand"}


def programs(command: str) -> set[str]:
    """The programs that a shell command calls, those of `bash -c` included."""
    reader = shlex.shlex(command.replace("\n", ";"), posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    found: set[str] = set()
    words: list[str] = []
    for word in [*reader, ";"]:
        if re.fullmatch(r"[();&|]+", word):
            found |= _program(words)
            words = []
        else:
            words.append(word)
    return found


def _program(words: list[str]) -> set[str]:
    while words and (words[0] in KEYWORDS or "=" in words[0]):
        words = words[1:]
    if not words or words[0] in BUILT_IN or words[0].isdigit() or words[0] == ">":
        return set()
    return {words[0]} | (programs(words[-1]) if words[0].endswith("bash") else set())


def launcher_commands() -> list[str]:
    """What Ray's launcher runs in the container, from the commands of our file and its own runner."""
    from ray.autoscaler._private.command_runner import _with_interactive

    launcher = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    own = launcher["head_start_ray_commands"] + launcher["worker_start_ray_commands"]
    shells = [" ".join(_with_interactive(command)) for command in own]
    return [
        *shells,
        "printenv HOME",
        "mkdir -p ~",
        "rsync --server",
        "ssh -tt HOST",
    ]  # the head starts the workers by ssh


def probe_commands() -> list[str]:
    """Commands of probes and hooks in manifests, of health checks in Compose and the Dockerfile."""
    manifests = [one for name in ("cpu", "gpu") for one in render(DEPLOY / "kubernetes" / "overlays" / name)]
    manifests += load_all(DEPLOY / "kubernetes" / "examples" / "ray-job.yaml")
    ours = [
        one for m in manifests for _, pod in pod_templates(m) for one in containers(pod) if "bandstand" in one["image"]
    ]
    found = [
        shlex.join(probe["exec"]["command"])
        for container in ours
        for probe in [container.get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")]
        if probe and "exec" in probe
    ]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        if service["image"].startswith("bandstand"):
            found += [shlex.join(service["healthcheck"]["test"][1:])] if "healthcheck" in service else []
            found += [shlex.join(service["entrypoint"])] if "entrypoint" in service else []
    (health,) = re.findall(r"^    CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    return [*found, shlex.join(json.loads(health))]


def called() -> list[str]:
    return sorted(
        {
            program
            for command in [*RAY_COMMANDS, *probe_commands(), *launcher_commands()]
            for program in programs(command)
        }
    )


@pytest.mark.parametrize("program", called())
def test_every_program_that_is_called_in_the_image_is_of_a_package_that_it_has(program):
    assert PACKAGES[program] in installed_packages(), program


def test_a_probe_by_wget_would_be_found_out():
    (program,) = programs("bash -c 'wget -q -O- http://localhost:52365/api/local_raylet_healthz | grep success'") - {
        "bash",
        "grep",
    }
    assert PACKAGES[program] not in installed_packages()


def test_all_that_the_files_start_is_called():
    assert {"bash", "/bin/bash", "ray", "sleep", "rsync", "ssh", "python"} <= set(called())


def ray_containers():
    for folder in ("cpu", "gpu"):
        for manifest in [
            *render(DEPLOY / "kubernetes" / "overlays" / folder),
            *load_all(DEPLOY / "kubernetes/examples/ray-job.yaml"),
        ]:
            if manifest["kind"] in ("RayCluster", "RayJob"):
                for name, pod in pod_templates(manifest):
                    if "submitter" not in name:
                        yield pytest.param(pod["spec"]["containers"][0], id=f"{folder} {name}")


@pytest.mark.parametrize("container", list(ray_containers()))
def test_a_ray_container_has_probes_of_its_own_so_that_no_operator_adds_those_by_wget(container):
    """KubeRay adds its own only where there are none; up to 1.5 these call wget."""
    for kind in ("readinessProbe", "livenessProbe"):
        assert container[kind]["httpGet"] == {"path": "/api/healthz", "port": AGENT_PORT}
    patience = container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"]
    assert patience >= 300  # an agent that is busy is no reason to end all trainings of a node


def test_ray_answers_that_path_without_a_token():
    from ray.dashboard.http_server_agent import PUBLIC_EXACT_PATHS

    assert "/api/healthz" in PUBLIC_EXACT_PATHS


@pytest.fixture
def image_root(tmp_path):
    """Where the image's programs would be, and the profile that names the place."""
    programs_folder = tmp_path / "opt" / "bandstand" / "bin"
    programs_folder.mkdir(parents=True)
    for name in ("ray", "bandstand", "python"):
        (programs_folder / name).write_text(f"#!/bin/sh\necho {name} of the image\n")
        (programs_folder / name).chmod(0o755)
    profiles = tmp_path / "profile.d"
    profiles.mkdir()
    (profiles / "bandstand.sh").write_text(PROFILE.read_text().replace("/opt/", f"{tmp_path}/opt/"))
    return tmp_path


def in_debians_profile(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run as a login shell does: Debian's profile first, with our folder of profiles."""
    profile = Path("/usr/share/base-files/profile")
    if not profile.exists():
        pytest.skip("this is not a Debian: its profile is not here")
    text = profile.read_text().replace("/etc/profile.d", f"{root}/profile.d")
    environment = {"PATH": f"{root}/opt/bandstand/bin:/usr/bin:/bin", "HOME": str(root)}
    return subprocess.run(
        ["bash", "--noprofile", "-c", f"{text}\n{command}"], capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize("program", ["ray", "bandstand", "python"])
def test_a_login_shell_with_debians_profile_finds_the_images_programs(image_root, program):
    assert in_debians_profile(image_root, program).stdout == f"{program} of the image\n"


def test_without_the_images_profile_a_login_shell_would_not_find_ray(image_root):
    (image_root / "profile.d" / "bandstand.sh").unlink()
    assert in_debians_profile(image_root, "command -v ray").returncode == 1
    assert "COPY deploy/image/profile.sh /etc/profile.d/bandstand.sh\n" in DOCKERFILE
    assert "!deploy/image\n" in (ROOT / ".dockerignore").read_text()


def test_the_launchers_own_shell_finds_ray_as_user_10001(image_root):
    """`bash --login` itself, in a namespace whose /etc/profile.d and /opt are those of the image."""
    from ray.autoscaler._private.command_runner import _with_interactive

    if os.geteuid() != 0 or shutil.which("unshare") is None or not Path("/usr/share/base-files/profile").exists():
        pytest.skip("needs root on a Debian")
    (image_root / ".bashrc").write_text("")
    (image_root / "profile.d" / "bandstand.sh").write_text(PROFILE.read_text())
    place = " ".join(_with_interactive("ray --version"))
    script = (
        f"mount --bind {image_root}/profile.d /etc/profile.d && mount --bind {image_root}/opt /opt "
        f"&& mount --bind /usr/share/base-files/profile /etc/profile && chmod -R a+rX {image_root} "
        f"&& cd / && exec setpriv --reuid 10001 --regid 10001 --clear-groups "
        f"env -i HOME=/opt PATH=/usr/bin:/bin {place}"
    )
    (image_root / "opt" / ".bashrc").write_text("")
    done = subprocess.run(["unshare", "--mount", "bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("ray of the image\n", 0), done.stderr


@pytest.mark.parametrize("path", [PROFILE, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_shell_scripts_please_their_linter(path):
    done = subprocess.run([tool("shellcheck"), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_gpu_image_pins_every_wheel_of_cuda():
    asked = map(Requirement, importlib.metadata.requires("tensorflow") or [])
    wanted = {
        one.name: one
        for one in asked
        if one.marker and one.marker.evaluate({"extra": "and-cuda"}) and "nvidia" in one.name
    }
    lines = (DEPLOY / "image" / "constraints-gpu.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(pinned) == set(wanted)
    assert all(one.specifier.contains(pinned[name]) for name, one in wanted.items())
    assert "-c constraints-gpu.txt" in DOCKERFILE


def test_the_image_holds_the_versions_that_a_derived_one_must_keep():
    stages = dict(re.findall(r"AS (packages-\w+)\n(.+?)\n\n", DOCKERFILE, re.DOTALL))
    assert set(stages) == {"packages-cpu", "packages-gpu"}
    assert all("/opt/bandstand/constraints.txt" in text for text in stages.values())
    recipe = re.findall(r"^#   (RUN pip install .+)$", DOCKERFILE, re.MULTILINE)
    assert recipe and all("-c /opt/bandstand/constraints.txt" in line for line in recipe)


def test_no_image_has_a_tag_that_moves():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    overlays = [render(DEPLOY / "kubernetes" / folder) for folder in ("overlays/cpu", "overlays/gpu", "migration")]
    overlays.append(render(Path(__file__).parent / "everything"))
    overlays.append(load_all(DEPLOY / "kubernetes" / "examples" / "ray-job.yaml"))
    images = {
        (container["image"], container["imagePullPolicy"])
        for manifests in overlays
        for manifest in manifests
        for _, pod in pod_templates(manifest)
        for container in containers(pod)
    }
    tags = {f"registry.example/bandstand:{version}-{kind}" for kind in ("cpu", "gpu")} | {"postgres:18-bookworm"}
    assert images == {(tag, "IfNotPresent") for tag in tags}
