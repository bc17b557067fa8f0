"""What `ray up` would do with deploy/ray-cluster.yaml, by Ray's own code, and what the README says of it."""

from __future__ import annotations

import re
import shlex

import click
import pytest
import yaml
from ray.autoscaler._private.docker import docker_start_cmds
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli

from tests.deploy.manifests import DEPLOY

OWN = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
SECTION = (DEPLOY / "README.md").read_text().split("## Machines that you reach by SSH")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def prepared():
    """The file as the launcher takes it up."""
    config = prepare_config(yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text()))
    validate_config(config)
    return config


@pytest.fixture
def container(prepared):
    """The command by which each machine starts its container, as words."""
    docker = prepared["docker"]
    command = docker_start_cmds(
        prepared["auth"]["ssh_user"], docker["image"], prepared["file_mounts"], docker["container_name"],
        docker["run_options"], prepared["cluster_name"], "/data/bandstand", "docker",
    )  # fmt: skip
    return shlex.split(command)


def test_both_workers_start_with_the_head(prepared):
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(prepared["provider"]["worker_ips"]) == 2


def test_a_container_has_the_network_of_its_machine_and_no_secret_in_its_command(container):
    assert "--net=host" in container
    assert "--entrypoint=" in container[: container.index(prepared_image())]  # else `bandstand bash` would be run
    assert container[-1] == "bash"
    assert not [word for word in container if "TOKEN" in word or "DATABASE" in word]
    assert "--env-file=/etc/bandstand/environment" in container


def prepared_image():
    return OWN["docker"]["image"]


def test_the_checkpoints_are_where_the_image_expects_them(container):
    (volume,) = [word.removeprefix("--volume=") for word in container if word.startswith("--volume=")]
    place, inside = volume.split(":")
    assert f"BANDSTAND_CHECKPOINTS={inside} " in (DEPLOY / "Dockerfile").read_text()
    assert f"--volume {volume} " in SECTION, "the server must find the files that the workers write"
    assert f"at `{place}`" in SECTION


def test_the_readme_names_what_a_machine_must_have():
    for word in (
        "/etc/bandstand/environment", OWN["auth"]["ssh_user"], OWN["auth"]["ssh_private_key"], "RAY_AUTH_MODE=token",
        "RAY_AUTH_TOKEN=", "10001:10001", "rsync", "--gpus=all", f"http://{OWN['provider']['head_ip']}:8265",
    ):  # fmt: skip
        assert word in SECTION, word


def test_the_commands_of_the_readme_are_commands_of_ray():
    commands = re.findall(r"\bray (up|exec|down)((?: --\w+)*) deploy/ray-cluster\.yaml", SECTION)
    assert {name for name, _ in commands} == {"up", "exec", "down"}
    for name, options in commands:
        known = [option for one in cli.commands[name].params if isinstance(one, click.Option) for option in one.opts]
        assert set(options.split()) <= set(known), name
