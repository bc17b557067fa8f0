"""What git tracks is the project alone: no links, nothing ignored, no folder of somebody's machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOMES = r"home|root|Users|work|workspace|scratch|mnt|media|var/folders"
TEMPORARY = r"tmp/(?!ray/session_latest\b|bandstand-)"
"""Ray's own folder and the names of our temporary files are the same on every machine."""
MACHINE_FOLDER = re.compile(rf"(?<![\w.~$}})*-])/(?:(?:{HOMES})/|{TEMPORARY})[\w.-]+")
"""A path that begins where people keep their files. Those of services (/data, /etc, /opt, /srv) may be named."""


def git(*arguments: str, folder: Path = ROOT) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def checkout() -> None:
    """Skips what asks git where there is nothing to ask."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("these tests ask git what is tracked; this is no git checkout")


def test_no_tracked_path_is_a_link() -> None:
    entries = git("ls-files", "-s").splitlines()
    assert len(entries) > 100
    assert [entry for entry in entries if entry.startswith("120000")] == []


def test_no_tracked_path_is_ignored() -> None:
    assert git("ls-files", "-ci", "--exclude-standard") == ""


@pytest.mark.parametrize("name", [".venv", ".venv-peers", ".hypothesis", ".mypy_cache"])
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_environment_or_a_cache_is_ignored_as_a_folder_and_as_a_link(name: str, kind: str, tmp_path: Path) -> None:
    git("init", "-q", folder=tmp_path)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    if kind == "folder":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    else:
        (tmp_path / name).symlink_to(tmp_path)
    assert git("ls-files", "-o", "--exclude-standard", folder=tmp_path).split() == [".gitignore"]


def test_no_tracked_text_names_a_folder_of_a_machine() -> None:
    named = []
    for path in git("ls-files", "-z").split("\0"):
        if path and (ROOT / path).is_file() and path != Path(__file__).relative_to(ROOT).as_posix():
            text = (ROOT / path).read_bytes().decode(errors="replace")
            found = [match.group() for match in MACHINE_FOLDER.finditer(text)]
            named += [f"{path}: {name}" for name in found + [str(ROOT)] * (str(ROOT) in text)]
    assert named == []


@pytest.mark.parametrize(
    "text",
    [
        'open("/home/ada/train.py")', "see /root/notes", "`/Users/ada/data`", "cd /scratch/ada && make", "x=/tmp/mine",
        "file:///home/ada/x", "/var/folders/xy/z",
    ],
)  # fmt: skip
def test_the_folders_of_a_machine_are_found(text: str) -> None:
    assert MACHINE_FOLDER.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "/data/home/x", "WORKDIR /work\n", "/opt/bandstand/bin", "https://host/home/x", "mountPath: /tmp }",
        "/tmp/ray/session_latest", "/tmp/bandstand-1", "$HOME/scratch/x", "~/scratch/x", "tests/scratch/x",
    ],
)  # fmt: skip
def test_what_every_machine_has_may_be_named(text: str) -> None:
    assert not MACHINE_FOLDER.search(text)


@pytest.fixture
def small_clone(tmp_path: Path) -> Path:
    """A repository with .ci/run, .gitignore and a Makefile that only says what it was asked for."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / "Makefile").write_text("docs check test:\n\t@echo made $@ in $(HOME) with $(PYTHONPATH).\n")
    git("init", "-q", folder=tmp_path)
    git("add", "-A", folder=tmp_path)
    return tmp_path


def run_ci(folder: Path, home: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "BROWSER_PATH": "none", "PYTHONPATH": "/elsewhere"} | (
        {} if home is None else {"HOME": home}
    )
    return subprocess.run(["bash", ".ci/run"], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("home", [None, ""])
def test_ci_gives_its_tools_a_home_where_there_is_none(small_clone: Path, home: str | None) -> None:
    done = run_ci(small_clone, home)
    assert done.returncode == 0, done.stderr
    made = re.fullmatch(
        r"made docs in (/\S+) with \.\nmade check in \1 with \.\nmade test in \1 with \.\n", done.stdout
    )
    assert made, done.stdout
    assert not Path(made.group(1)).exists()


def test_ci_leaves_the_home_that_it_is_given(small_clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    assert f"made test in {home} with .\n" in run_ci(small_clone, str(home)).stdout
    assert home.exists()


@pytest.mark.parametrize("brought", [".venv", "data"])
def test_ci_refuses_a_link_that_the_clone_brings_along(small_clone: Path, brought: str) -> None:
    (small_clone / brought).symlink_to("/")
    git("add", "-f", brought, folder=small_clone)
    done = run_ci(small_clone)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f".ci/run: git must track neither ignored paths nor links; it tracks {brought}: take them out with "
        "git rm --cached\n"
    )


def test_ci_refuses_an_environment_that_the_clone_brings_along(small_clone: Path) -> None:
    (small_clone / ".venv").mkdir()
    (small_clone / ".venv/pyvenv.cfg").touch()
    git("add", "-f", ".venv", folder=small_clone)
    assert "it tracks .venv/pyvenv.cfg:" in run_ci(small_clone).stderr


def test_ci_takes_the_environment_of_a_developer(small_clone: Path) -> None:
    (small_clone / ".venv").mkdir()
    (small_clone / ".venv/pyvenv.cfg").touch()
    assert run_ci(small_clone).returncode == 0
