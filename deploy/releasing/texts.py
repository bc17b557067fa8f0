"""Where a release's version and date stand: pyproject.toml, CITATION.cff, the changelog and tags of images.

Knows the form of these texts. Must not know files or git.
"""

from __future__ import annotations

import re
from datetime import date

__all__ = [
    "ReleaseError",
    "changelog_for",
    "check_version",
    "citation_for",
    "entries_of",
    "image_tags_for",
    "project_for",
    "version_in",
]

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_VERSION_LINE = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
_IMAGE_TAG = re.compile(r"(bandstand:|newTag: )\d+\.\d+\.\d+(?=-[cg]pu\b)")
_UNRELEASED = "## [Unreleased]\n"


class ReleaseError(Exception):
    """The release cannot be made; one line says why and what to do."""


def version_in(project: str) -> str:
    """The version that pyproject.toml has."""
    found = _VERSION_LINE.search(project)
    if found is None:
        raise ReleaseError('pyproject.toml must have a line version = "x.y.z"; it has none')
    return found[1]


def check_version(version: str, current: str, tags: list[str]) -> None:
    """Refuse a version that is none, is lower than the current one, or was released before.

    Raises:
        ReleaseError: one line.
    """
    if _VERSION.fullmatch(version) is None:
        raise ReleaseError(f"the version must have the form x.y.z; got {version!r}: make release VERSION=0.1.0")
    if _numbers(version) < _numbers(current):
        raise ReleaseError(f"the version must not be lower than that of pyproject.toml, {current}; got {version}")
    if f"v{version}" in tags:
        raise ReleaseError(f"each version is released once; the tag v{version} exists: choose a higher version")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def project_for(project: str, version: str) -> str:
    """pyproject.toml with this version."""
    version_in(project)
    return _VERSION_LINE.sub(f'version = "{version}"', project, count=1)


def entries_of(changelog: str, heading: str = "Unreleased") -> str:
    """What the changelog says under a version's heading, without it.

    Raises:
        ReleaseError: there is no such heading, or no entry under it.
    """
    found = re.search(rf"^## \[{re.escape(heading)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ReleaseError(f"CHANGELOG.md must have the heading ## [{heading}]; it has none")
    if not re.search(r"^\* ", found[1], re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md must say what has changed under ## [{heading}]; it has no entry there")
    return found[1].strip()


def changelog_for(changelog: str, version: str, day: date) -> str:
    """The changelog with its unreleased entries under this version, and an empty section above them.

    Raises:
        ReleaseError: there is nothing to release.
    """
    entries_of(changelog)
    return changelog.replace(_UNRELEASED, f"{_UNRELEASED}\n## [{version}] - {day.isoformat()}\n", 1)


def citation_for(citation: str, version: str, day: date) -> str:
    """CITATION.cff with this version and date."""
    without = re.sub(r"^date-released: .*\n", "", citation, flags=re.MULTILINE)
    return re.sub(
        r"^version: .*$", f"version: {version}\ndate-released: {day.isoformat()}", without, count=1, flags=re.MULTILINE
    )


def image_tags_for(text: str, version: str) -> str:
    """A file of `deploy/` with the images of this version."""
    return _IMAGE_TAG.sub(rf"\g<1>{version}", text)
