"""Every code block of the documentation runs, page by page, as a reader would run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.docs.harness.blocks import BlockError, blocks_of
from tests.docs.harness.page_run import run_page

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "deploy/README.md",
]


def pages() -> list[ParameterSet]:
    """Each page that has blocks; once more, in the slow suite, if it has slow ones."""
    found = []
    for path in PAGES:
        name = path.relative_to(ROOT).as_posix()
        blocks = blocks_of(path.read_text(), name)
        if blocks:
            found.append(pytest.param(path, False, id=name))
        if any(block.marks.slow for block in blocks):
            found.append(pytest.param(path, True, id=f"{name} with its slow blocks", marks=pytest.mark.slow))
    return found


@pytest.mark.parametrize(("path", "slow"), pages())
def test_the_blocks_of_a_page_run(
    path: Path, slow: bool, tmp_path: Path, environment_for: Callable[[Path], Mapping[str, str]]
) -> None:
    failure = None
    try:
        run_page(path.read_text(), path.relative_to(ROOT).as_posix(), tmp_path, environment_for(tmp_path), slow=slow)
    except BlockError as error:
        failure = str(error)
    if failure is not None:  # out here, so that it is told once
        pytest.fail(failure, pytrace=False)


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
