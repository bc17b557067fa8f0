"""A release: one place for the version, the changelog, what is built; nothing is written before all of it works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from deploy.releasing.audit import audit_from
from deploy.releasing.packages import distributions_of, pinned
from deploy.releasing.texts import (
    ReleaseError,
    changelog_for,
    check_version,
    citation_for,
    entries_of,
    image_tags_for,
    project_for,
    version_in,
)

ROOT = Path(__file__).parents[2]
DAY = date(2030, 2, 1)
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n* This.\n\n## [0.1.0] - 2029-01-01\n\n* That.\n"


def test_the_version_stands_in_one_place_and_the_citation_follows() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version_in((ROOT / "pyproject.toml").read_text()) == version
    assert metadata.version("bandstand") == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    sources = [path for folder in ("service", "workers", "search_spaces") for path in (ROOT / folder).rglob("*.py")]
    assert [path for path in sources if re.search(r"^__version__", path.read_text(), re.MULTILINE)] == []


def test_the_citation_has_what_its_form_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "type"} <= citation.keys()
    assert citation["authors"] == [{"name": "The Bandstand developers"}]
    assert citation["license"] == "Apache-2.0"


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert all((ROOT / link).exists() for link in re.findall(r"\]\((?!https)([^)#]+)", text))


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("1.0", "the version must have the form x.y.z; got '1.0'"),
        ("0.1.9", "the version must not be lower than that of pyproject.toml, 0.2.0; got 0.1.9"),
        ("0.3.0", "each version is released once; the tag v0.3.0 exists"),
    ],
)
def test_a_version_that_cannot_be_released_is_refused(version: str, says: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(says)):
        check_version(version, "0.2.0", ["v0.3.0"])


def test_the_first_version_and_a_higher_one_may_be_released() -> None:
    check_version("0.2.0", "0.2.0", [])
    check_version("0.10.0", "0.2.0", ["v0.2.0"])


def test_a_release_dates_the_unreleased_entries_and_opens_an_empty_section() -> None:
    text = changelog_for(CHANGELOG, "0.2.0", DAY)
    assert text.startswith("# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2030-02-01\n\n### Added\n\n* This.\n")
    assert entries_of(text, "0.2.0") == "### Added\n\n* This."
    assert entries_of(text, "0.1.0") == "* That."
    with pytest.raises(ReleaseError, match="must say what has changed under"):
        changelog_for(text, "0.3.0", DAY)
    with pytest.raises(ReleaseError, match=r"must have the heading ## \[Unreleased\]"):
        entries_of("# Changelog\n")


def test_a_release_writes_its_version_into_the_project_and_the_citation() -> None:
    project = '[project]\nname = "bandstand"\nversion = "0.1.0"\n[tool.x]\nversion = "7"\n'
    assert project_for(project, "0.2.0") == project.replace("0.1.0", "0.2.0")
    citation = citation_for("title: x\nversion: 0.1.0\nlicense: y\n", "0.2.0", DAY)
    assert citation == "title: x\nversion: 0.2.0\ndate-released: 2030-02-01\nlicense: y\n"
    assert citation_for(citation, "0.3.0", DAY) == citation.replace("0.2.0", "0.3.0")


def test_a_release_names_its_images() -> None:
    text = "image: registry.example/bandstand:0.1.0-gpu  # and python:3.11\n- { name: bandstand, newTag: 0.1.0-cpu }\n"
    assert image_tags_for(text, "0.2.0") == text.replace("0.1.0", "0.2.0")


def test_a_bill_of_materials_is_of_what_an_installation_brings() -> None:
    names = distributions_of("all")
    lines = pinned((ROOT / "constraints.txt").read_text(), names).split()
    assert {"tensorflow", "fastapi", "jax", "numpy", "kaleido"} <= {line.split("==")[0] for line in lines}
    assert not {"pytest", "twine", "mkdocs"} & {line.split("==")[0] for line in lines}
    assert len(lines) == len(names) - 1  # without Bandstand itself


def test_an_audit_that_has_looked_nothing_up_is_not_done() -> None:
    """pip-audit ends well then."""
    unknown = {"name": "mine", "skip_reason": "not found"}
    good = {"name": "good", "version": "1", "vulns": []}
    bad = {"name": "bad", "version": "2", "vulns": [{"id": "X-1"}]}
    nothing = audit_from(json.dumps({"dependencies": [unknown]}))
    assert (nothing.is_done, nothing.vulnerable) == (False, [])
    assert nothing.said == "audit: not done, because pip-audit's data have none of the 1 packages"
    clean = audit_from(json.dumps({"dependencies": [unknown, good]}))
    assert clean == ("audit: no known vulnerability; 1 of 2 packages were looked up", True, [])
    assert audit_from(json.dumps({"dependencies": [good, bad]})).vulnerable == ["bad 2"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of its own with the files that git tracks here, as they are now."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("a release is made of what git tracks; this is no git checkout")
    folder = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "All")
    return folder


def git(folder: Path, *arguments: str) -> str:
    author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in NAMES.items()}
    done = subprocess.run(["git", *arguments], cwd=folder, env=os.environ | author, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NAMES = {"NAME": "A test", "EMAIL": "test@example.org"}


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Without a network, so that no audit takes time."""
    environment = os.environ | {
        f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in NAMES.items()
    }
    environment |= {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, "-m", "deploy.releasing", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_a_release_is_built_checked_committed_and_tagged(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    done = release(clone, "0.9.0")
    assert done.returncode == 0, done.stderr
    assert "audit: not done, because pip-audit could not reach its data" in done.stdout
    assert done.stdout.endswith("committed and tagged v0.9.0; the files to upload are in build/release/0.9.0\n")
    assert git(clone, "tag", "--points-at", "HEAD") == "v0.9.0"
    assert git(clone, "log", "-1", "--format=%s") == "Release 0.9.0"
    assert git(clone, "status", "--porcelain") == ""
    changed = git(clone, "diff", "--name-only", before).split()
    assert [name for name in changed if not name.startswith("deploy/")] == [
        "CHANGELOG.md",
        "CITATION.cff",
        "pyproject.toml",
    ]
    images = re.findall(
        r"bandstand:\d[\w.-]*|newTag: .*",
        git(clone, "grep", "-h", "bandstand:\\|newTag", "--", "deploy/*.yaml", "deploy/Dockerfile"),
    )
    assert images
    assert all("0.9.0-" in image for image in images)
    built = clone / "build/release/0.9.0"
    assert {path.name for path in built.iterdir()} == {
        "bandstand-0.9.0.tar.gz", "bandstand-0.9.0-py3-none-any.whl", "bandstand-0.9.0.cdx.json",
    }  # fmt: skip
    bill = json.loads((built / "bandstand-0.9.0.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == ("bandstand", "0.9.0")
    assert {"tensorflow", "fastapi"} <= {each["name"] for each in bill["components"]}

    again = release(clone, "0.9.0")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == ("release: each version is released once; the tag v0.9.0 exists: choose a higher version\n")
    assert "it has no entry there" in release(clone, "1.0.0").stderr
    (clone / "notes.txt").touch()
    assert "everything must be committed; git status has '?? notes.txt'" in release(clone, "1.0.0").stderr


@pytest.mark.slow
def test_a_dry_run_builds_and_checks_and_writes_nothing(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    tried = release(clone, "0.9.0", "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "dry run: 0.9.0 can be released; nothing was written" in tried.stdout
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag"), git(clone, "status", "--porcelain")) == (before, "", "")
    assert not (clone / "build").exists()
