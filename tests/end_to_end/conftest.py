"""Fixtures of whole studies run as a user would."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.end_to_end.harness.project", "tests.end_to_end.harness.stored_study")

from tests.end_to_end.harness.project import Project  # noqa: E402


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)
