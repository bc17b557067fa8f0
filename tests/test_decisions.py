"""Pages of decisions: each has its five parts in order, is short, names places that are there, and is in the list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/explanation/decisions"
INDEX = (FOLDER / "README.md").read_text()
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PARTS = ["Question", "Decision", "Why", "What follows", "Where"]
PLACE = re.compile(r"`([\w/.-]+(?:\.py|/))`")


def test_there_are_pages() -> None:
    assert len(PAGES) >= 40


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_decision_has_its_parts_in_order_on_a_page_that_is_short(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^\*\*([\w ]+)\.\*\*", text, re.MULTILINE) == PARTS
    assert 10 <= len(text.splitlines()) <= 40


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_decision_names_code_that_is_there(page: Path) -> None:
    places = PLACE.findall(page.read_text().split("**Where.**")[1])
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_decision_is_listed_once_by_its_title(page: Path) -> None:
    title = page.read_text().splitlines()[0].removeprefix("# ")
    assert INDEX.count(f"* [{title}]({page.name})") == 1


def test_the_list_has_nothing_else() -> None:
    assert len(re.findall(r"^\* \[", INDEX, re.MULTILINE)) == len(PAGES)
