"""The wheel in an empty environment: how much it brings, and what works there. Packages must be reachable for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bandstand.store.store import Store
from tests.service.client.servers import LoopbackServer

ROOT = Path(__file__).parents[2]
MOST_PACKAGES = 55
MOST_MEGABYTES = 650
NOT_OURS = ("pip", "setuptools")
"""What an empty environment has already."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the base package alone, installed by pip with the versions of constraints.txt."""
    folder = tmp_path_factory.mktemp("empty")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheel")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "wheel").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "environment")], check=True)
    pip = [str(folder / "environment/bin/python"), "-m", "pip", "--disable-pip-version-check"]
    tried = subprocess.run(
        [*pip, "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel)], capture_output=True, text=True
    )
    if tried.returncode:
        reachable = subprocess.run(
            [*pip, "download", "--quiet", "--no-deps", "-d", str(folder / "one"), "six"], capture_output=True, text=True
        )
        if reachable.returncode:
            pytest.skip(f"no packages can be reached here: {tried.stderr.strip().splitlines()[-1]}")
        raise AssertionError(tried.stderr)
    return folder / "environment"


def is_ours(name: str) -> bool:
    return re.split(r"[-=.]", name)[0].lower() not in NOT_OURS


@pytest.mark.slow
def test_the_base_package_brings_few_packages_of_little_size(environment: Path) -> None:
    """Their bytecode included, which pip writes."""
    listed = subprocess.run(
        [environment / "bin/python", "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    )
    packages = [line for line in listed.stdout.split() if is_ours(line)]
    (folder,) = environment.glob("lib/python*/site-packages")
    tops = [path for path in folder.iterdir() if is_ours(path.name)]
    size = sum(path.lstat().st_size for top in tops for path in (top, *top.rglob("*")) if not path.is_dir())
    print(f"the base package: {len(packages)} packages, {size / 1e6:.0f} MB")
    assert len(packages) <= MOST_PACKAGES
    assert size / 1e6 <= MOST_MEGABYTES


@pytest.mark.slow
def test_the_commands_of_the_base_package_work_in_an_empty_environment(
    environment: Path, finished: str, server: LoopbackServer, store: Store, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(store.accounts.create_token("empty", "submitter", days=1).text)
    there = ["--url", server.url, "--token-file", str(token)]
    for command in (
        ["--help"], ["list"], ["show", finished], ["best", finished], ["report", finished, "-o", "report.html"],
        ["export", finished, "-o", "trials.csv"], ["figure", finished, "history", "-o", "history.html"],
        ["simulate", "digits_mlp", "-w", "2", "--out", "simulated.html"], ["submit", "digits_mlp", *there],
        ["watch", finished, *there], ["login", server.url, "--token-file", str(token)], ["logout"],
    ):  # fmt: skip
        done = run(environment, command, tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (command, done.stderr)


@pytest.mark.slow
def test_a_database_of_its_own_is_started_in_an_empty_environment(environment: Path, tmp_path: Path) -> None:
    done = run(environment, ["list"], tmp_path, BANDSTAND_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout[:24]) == (0, "there are no studies yet")


@pytest.mark.slow
def test_what_trains_is_asked_for_in_one_line_in_an_empty_environment(environment: Path, tmp_path: Path) -> None:
    for command, extra in (("run digits_mlp", "workers"), ("serve", "server"), ("dashboard", "dashboard")):
        done = run(environment, command.split(), tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), command
        assert f'pip install "bandstand[{extra}]"' in done.stderr


def run(environment: Path, command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment / "bin/bandstand", *command], cwd=folder, env=os.environ | variables,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
