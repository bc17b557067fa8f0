"""Nothing of the former README falls out: each of its headings has a new place, which exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/about/former-readme.md"
HEADINGS = (
    "Bandstand",
    "Your own model",
    "Spaces",
    "From KerasTuner and Ray Tune",
    "Strategies",
    "Simulation first",
    "What was the search worth?",
    "Other settings of a study",
    "Learning-rate schedules and restarts",
    "Learning-rate restarts as a search",
    "How an epoch is trained",
    "Under Ray Tune",
    "Reports",
    "For a team: the server",
    "Studies on a server",
    "The server's pages",
    "Commands",
    "More budget, and trials of your own",
    "Where things are kept",
    "On a cluster",
    "How it works",
    "Design notes",
    "What it is built on",
    "Safety",
    "What is not there yet",
    "Developing",
)
"""All of them, in their order."""

ROWS = re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)[2:]


def test_the_table_has_every_heading_in_its_order() -> None:
    assert tuple(heading for heading, _ in ROWS) == HEADINGS


@pytest.mark.parametrize(("heading", "places"), ROWS, ids=[heading for heading, _ in ROWS])
def test_each_heading_has_places_that_exist(heading: str, places: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", places)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
