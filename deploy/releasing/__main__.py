"""`python -m deploy.releasing VERSION [--dry-run]`, which `make release VERSION=x.y.z` calls. Nothing is uploaded.

It builds a copy of what is committed, with the new version, and checks what it has built. Only when all of that has
worked does it write the version, commit and tag. A dry run stops before that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

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

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
_AUDIT_SECONDS = 300


def main(arguments: list[str] | None = None) -> int:
    """Make the release; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="make release", description="Make a release of Bandstand. Nothing is uploaded."
    )
    parser.add_argument("version", help="such as 0.1.0")
    parser.add_argument("--dry-run", action="store_true", help="build and check; write, commit and tag nothing")
    parser.add_argument("--despite-vulnerabilities", action="store_true", help="go on if pip-audit knows some")
    asked = parser.parse_args(arguments)
    try:
        _release(asked.version, dry_run=asked.dry_run, despite=asked.despite_vulnerabilities)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    return 0


def _release(version: str, *, dry_run: bool, despite: bool) -> None:
    check_version(version, version_in((ROOT / "pyproject.toml").read_text()), _git("tag").split())
    changed = _git("status", "--porcelain").strip()
    if changed:
        raise ReleaseError(
            f"everything must be committed; git status has {changed.splitlines()[0].strip()!r}: commit it"
        )
    entries_of((ROOT / "CHANGELOG.md").read_text())
    day = datetime.now(UTC).date()
    with tempfile.TemporaryDirectory(prefix="bandstand-release-") as folder:
        copy, built = Path(folder) / "source", Path(folder) / "built"
        _copy_committed(copy)
        _write_version(copy, version, day)
        _build(copy, built)
        _write_bill_of_materials(copy, built, version)
        _audit(copy, built, despite)
        if dry_run:
            print(f"dry run: {version} can be released; nothing was written, committed or tagged")
            return
        place = ROOT / "build" / "release" / version
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(built, place)
    _write_version(ROOT, version, day)
    _git("add", "--update")
    _git("commit", "--quiet", "-m", f"Release {version}")
    _git("tag", "-a", f"v{version}", "-m", f"Bandstand {version}")
    print(f"committed and tagged v{version}; the files to upload are in {place.relative_to(ROOT)}")


def _copy_committed(copy: Path) -> None:
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(copy, filter="data")


def _write_version(folder: Path, version: str, day: date) -> None:
    project, changelog, citation = (folder / name for name in ("pyproject.toml", "CHANGELOG.md", "CITATION.cff"))
    project.write_text(project_for(project.read_text(), version))
    changelog.write_text(changelog_for(changelog.read_text(), version, day))
    citation.write_text(citation_for(citation.read_text(), version, day))
    for path in _deployed(folder):
        path.write_text(image_tags_for(path.read_text(), version))


def _deployed(folder: Path) -> list[Path]:
    """The files that name images."""
    manifests = sorted((folder / "deploy").rglob("*.yaml"))
    return [path for path in [folder / "deploy/Dockerfile", folder / "deploy/README.md", *manifests] if path.exists()]


def _build(copy: Path, built: Path) -> None:
    """A source distribution and a wheel, checked."""
    _tool(copy, "hatchling", "build", "-d", str(built))
    files = sorted(str(path) for path in built.iterdir())
    _tool(copy, "twine", "check", "--strict", *files)
    _tool(copy, "check_wheel_contents", *[name for name in files if name.endswith(".whl")])
    print("built and checked: " + ", ".join(Path(name).name for name in files))


def _write_bill_of_materials(copy: Path, built: Path, version: str) -> None:
    """What an installation with all extras brings, in CycloneDX's form."""
    requirements = copy / "released.txt"
    requirements.write_text(pinned((copy / "constraints.txt").read_text(), distributions_of("all")))
    bill = built / f"bandstand-{version}.cdx.json"
    _tool(
        copy, "cyclonedx_py", "requirements", "--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON",
        "-o", str(bill), str(requirements),
    )  # fmt: skip
    print(f"bill of materials: {bill.name}, {len(json.loads(bill.read_text())['components'])} packages")


def _audit(copy: Path, built: Path, despite: bool) -> None:
    """Look for known vulnerabilities of these packages, or say that this could not be done.

    Raises:
        ReleaseError: there are some.
    """
    found = copy / "audit.json"
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json", "-o", str(found)]
    command = [sys.executable, "-m", "pip_audit", "-r", "released.txt", *options]
    try:
        said = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=_AUDIT_SECONDS).stderr
    except subprocess.TimeoutExpired:
        said = f"no answer in {_AUDIT_SECONDS} seconds"
    if not found.exists():
        reason = (said.strip().splitlines() or ["it said nothing"])[-1][:160]
        print(f"audit: not done, because pip-audit could not reach its data: {reason}")
        return
    audit = audit_from(found.read_text())
    print(audit.said)
    if audit.is_done:
        shutil.copy(found, built / "audit.json")
    if audit.vulnerable and not despite:
        raise ReleaseError(
            f"packages must have no known vulnerability; {', '.join(audit.vulnerable)} has: renew the packages with "
            "make lock, or release with ARGUMENTS=--despite-vulnerabilities"
        )


def _tool(folder: Path, module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"{module} must accept the release; it does not: {(done.stdout + done.stderr).strip()}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} must work; it says: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
