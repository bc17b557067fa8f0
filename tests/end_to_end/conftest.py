"""Fixtures of whole studies run as a user would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.project import Project


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path)
