"""Fixtures of whole studies run as a user would."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.end_to_end.harness.project", "tests.end_to_end.harness.stored_study")

from tests.end_to_end.harness.project import Project  # noqa: E402


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the temporary files of what a test starts, shared by all users as /tmp is; its path is short."""
    folder = Path(tempfile.mkdtemp(prefix="b-", dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
