"""What docs and packages say of where something is: the place is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ABOVE = (ROOT, ROOT / "service/bandstand", ROOT / "workers")
"""Where the paths in docs begin."""
PLACE = re.compile(r"`([\w/]+(?:\.py|/))`")
LISTED = re.compile(r"^ *([a-z_]+)(?: {2,}|(?<=\w{16}) )\S", re.MULTILINE)
PACKAGES = sorted(
    path for folder in ("service", "workers", "search_spaces") for path in (ROOT / folder).rglob("__init__.py")
)


def modules_listed_in(package: Path) -> list[str]:
    """The names in the list that a package's docstring may have, a line each."""
    text = ast.get_docstring(ast.parse(package.read_text())) or ""
    return [found[1] for found in LISTED.finditer(text)]


@pytest.mark.parametrize(("page", "count"), [("glossary", 50), ("explanation/where-to-look", 20)])
def test_a_page_of_words_leads_to_places_that_are_there(page: str, count: int) -> None:
    places = PLACE.findall((ROOT / f"docs/{page}.md").read_text())
    assert len(places) >= count
    assert [place for place in places if not any((above / place).exists() for above in ABOVE)] == []


def test_the_way_of_a_datum_passes_places_that_are_there_and_none_twice() -> None:
    _, ways = (ROOT / "docs/explanation/architecture.md").read_text().split("## The way of five data")
    each = [PLACE.findall(way) for way in ways.split("| --- | --- |")[1:]]
    assert len(each) == 5
    for places in each:
        assert len(places) > 5
        assert len(set(places)) == len(places)
        assert [
            place for place in places if "/" in place and not any((above / place).exists() for above in ABOVE)
        ] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_a_package_lists_modules_that_it_has(package: Path) -> None:
    there = {path.stem for path in package.parent.iterdir()}
    assert [name for name in modules_listed_in(package) if name not in there] == []


def test_modules_that_are_compiled_at_installation_are_there() -> None:
    named = re.findall(r"\bbandstand\w*(?:\.\w+)+", re.sub(r"(?m)^\t.*", "", (ROOT / "Makefile").read_text()))
    assert len(named) > 5
    homes = {"bandstand": "service", "bandstand_workers": "workers", "bandstand_spaces": "search_spaces"}
    paths = {name: ROOT / homes[name.split(".")[0]] / f"{name.replace('.', '/')}.py" for name in named}
    assert [name for name, path in paths.items() if not path.exists()] == []


def test_packages_list_modules_at_all() -> None:
    assert sum(len(modules_listed_in(package)) for package in PACKAGES) > 40
