"""Private parts of other libraries are touched in named places only, each in docs/explanation/internals.md."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("service/bandstand", "workers/bandstand_workers", "search_spaces/bandstand_spaces")
OURS = ("bandstand", "bandstand_workers", "bandstand_spaces")
PLACES = {
    "service/bandstand/commands/internals.py": "typer",
    "service/bandstand/optuna_samplers/internals.py": "skopt",
    "service/bandstand/optuna_storage/internals.py": "optuna",
    "workers/bandstand_workers/internals/keras_parts.py": "keras",
    "workers/bandstand_workers/internals/ray_job_parts.py": "ray",
    "workers/bandstand_workers/internals/ray_parts.py": "ray",
    "workers/bandstand_workers/internals/tensorflow_parts.py": "tensorflow",
}
"""File -> the one library whose private parts it may touch."""
PRIVATE = re.compile(r"^keras\.src\b|^tensorflow\.(python|core|compiler)\b|(^|\.)_[a-z]")
"""Modules and names that their libraries do not offer."""


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def imported_by(text: str) -> Iterator[str]:
    """Full names of what is imported from elsewhere; of `from a import b` both a and a.b, as b may be a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] not in (*OURS, "__future__"))


def private_names_in_strings(text: str) -> Iterator[str]:
    """Names that getattr, setattr, hasattr and delattr are given for something else than the object itself."""
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr")):
            continue
        owner, *rest = node.args
        if isinstance(owner, ast.Name) and owner.id in ("self", "cls"):
            continue
        for argument in rest[:1]:
            if isinstance(argument, ast.Constant) and re.match(r"_[a-z]", str(argument.value)):
                yield str(argument.value)


def test_private_modules_are_imported_in_their_librarys_place_only() -> None:
    found = {
        f"{file}: {name}"
        for file, text in sources()
        for name in imported_by(text)
        if PRIVATE.search(name) and PLACES.get(file) != name.split(".")[0]
    }
    assert found == set(), "move what stands on these into the library's named place, or use something public"


def test_private_attributes_are_not_reached_by_their_names_in_strings_either() -> None:
    named_tuples = {"_asdict", "_fields", "_mapping"}
    found = {
        f"{file}: {name}"
        for file, text in sources()
        for name in private_names_in_strings(text)
        if file not in PLACES and name not in named_tuples
    }
    assert found == set(), "ruff's SLF001 does not see these; they belong into the library's named place"


def test_ruff_lets_nobody_but_the_named_places_touch_private_parts_of_others() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert {"SLF", "BLE"} <= set(ruff["select"])
    for pattern, rules in ruff["per-file-ignores"].items():
        if {"SLF", "SLF001"} & set(rules) and pattern != "tests/**":
            files = {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.suffix == ".py"}
            assert {file for file in files if not file.endswith("__init__.py")} <= set(PLACES), pattern
    assert [file for file, text in sources() if "noqa: SLF" in text] == []


def test_every_blind_except_says_why() -> None:
    waivers = [line for _, text in sources() for line in text.splitlines() if "noqa: BLE001" in line]
    assert waivers
    assert [line for line in waivers if not re.search(r"noqa: BLE001  # \S+ \S+", line)] == []


@pytest.mark.parametrize("file", PLACES)
def test_a_named_place_says_what_it_knows_what_it_stands_on_and_what_if_that_goes(file: str) -> None:
    text = (ROOT / file).read_text()
    head = ast.get_docstring(ast.parse(text)) or ""
    assert "Knows" in head
    assert "Must not" in head
    assert "Stands on" in text
    assert re.search(r"\bIf\s", text)


def rows() -> list[list[str]]:
    text = (ROOT / "docs/explanation/internals.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_row_of_the_table_names_a_place_and_tests_that_are_there() -> None:
    assert len(rows()) >= 12
    for place, what, change, tests in rows():
        assert what
        assert change
        for file in re.findall(r"`([\w/]+\.py)`", place):
            assert list(ROOT.glob(f"*/*/{file}")), f"{place}: there is no {file}"
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
        assert named, f"no test stands beside {what}"
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"


def test_every_named_place_has_a_row() -> None:
    written = " ".join(row[0] for row in rows())
    assert [file for file in PLACES if file.split("/", 2)[2] not in written] == []
    assert sum("**silent**" in row[2] for row in rows()) >= 6
