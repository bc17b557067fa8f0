"""The Dockerfile's own steps for the image's system, in a clean Debian; needs Debian's package archive."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY

pytestmark = pytest.mark.slow
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
BASE, STAGE = re.findall(r"^FROM python:3.11-slim-(\w+) AS runtime\n(.+?)^FROM", DOCKERFILE, re.MULTILINE | re.DOTALL)[
    0
]
"""Debian's release, and the steps of the stage that both images begin with."""
USER = "bandstand"
"""The image's user."""


def steps() -> list[str]:
    lines = "\n".join(line for line in STAGE.splitlines() if not line.startswith("#"))
    return [re.sub(r"\\\n\s*", "", text) for text in re.findall(r"^RUN (.+?(?<!\\))$", lines, re.MULTILINE | re.DOTALL)]


def inside(root: Path, command: str, user: str = "0:0") -> subprocess.CompletedProcess[str]:
    """A command in the root, with its own /proc."""
    script = f'mount -t proc proc {root}/proc && exec chroot --userspec={user} {root} /bin/sh -c "$0"'
    path = "/opt/bandstand/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, "HOME": f"/home/{USER}"}
    whole = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, command]
    return subprocess.run(whole, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The image without Python and our packages, after all RUN and COPY steps."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    folder = Path(tempfile.mkdtemp(prefix="bs-root-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", BASE, str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"Debian's archive cannot be reached: {done.stdout.splitlines()[-1:]}")
        for source, target in re.findall(r"^COPY (deploy/\S+) (/\S+)$", STAGE, re.MULTILINE):
            shutil.copy(DEPLOY.parent / source, folder / target.removeprefix("/"))
        shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
        for step in steps():
            done = inside(folder, step)
            assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
        programs = folder / "opt" / "bandstand" / "bin"
        programs.mkdir(parents=True)
        for name in ("ray", "bandstand"):
            (programs / name).write_text(f"#!/bin/sh\necho {name} of the image\n")
            (programs / name).chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("program", ["bash", "grep", "mkdir", "printenv", "rsync", "sleep", "ssh"])
def test_a_clean_root_has_every_program_that_is_called_and_is_not_ours(root, program):
    assert inside(root, f"command -v {program}", "10001:10001").returncode == 0


def test_it_has_no_wget_so_that_probes_must_not_call_it(root):
    assert inside(root, "command -v wget").returncode != 0


@pytest.mark.parametrize("program", ["ray", "bandstand"])
def test_the_launchers_shell_finds_our_programs_in_it(root, program):
    from ray.autoscaler._private.command_runner import _with_interactive

    done = inside(root, " ".join(_with_interactive(program)), "10001:10001")
    assert (done.stdout, done.returncode) == (f"{program} of the image\n", 0), done.stderr


def test_its_user_writes_its_folders_and_no_others(root):
    for folder in ("/data/checkpoints", "/data/home", "/work"):
        assert inside(root, f"touch {folder}/x", "10001:10001").returncode == 0
    assert inside(root, "touch /opt/bandstand/bin/x", "10001:10001").returncode != 0
    assert inside(root, "id -un", "10001:10001").stdout == f"{USER}\n"
