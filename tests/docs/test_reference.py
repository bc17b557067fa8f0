"""The pages of docs/reference say what the code says."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
import typer.main

from bandstand.commands.cli import app
from bandstand.errors import ANSWERS
from bandstand_spaces.serialization import _FORMS
from docs.generating.pages import PAGES, environment, study_file
from docs.generating.settings import type_in_words

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
SOURCES = [path for folder in ("service", "workers", "search_spaces") for path in (ROOT / folder).rglob("*.py")]
VARIABLE = re.compile(r"(?<![\w$])(?:BANDSTAND|RAY|KERAS|XDG|BROWSER|TF|CUDA|JAX)_[A-Z_]*[A-Z]\b")


def has_the_versions_of_make() -> bool:
    """Whether the libraries that describe commands and requests are those that `make` installs."""
    pinned = (ROOT / "constraints.txt").read_text().split()
    return all(f"{name}=={metadata.version(name)}" in pinned for name in ("fastapi", "pydantic", "typer"))


@pytest.mark.skipif(not has_the_versions_of_make(), reason="other versions describe commands in other words")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_make_reference_writes_it(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run `make reference`, and look at what has changed"


def test_every_variable_that_the_code_names_is_on_the_page_or_of_no_concern_to_users() -> None:
    named = {name for path in SOURCES for name in VARIABLE.findall(path.read_text())}
    assert named - environment.FOR_USERS.keys() - environment.OURS.keys() == set()
    assert {name for name in (*environment.FOR_USERS, *environment.OURS) if name.startswith("BANDSTAND")} <= named


def test_a_variable_is_of_one_kind() -> None:
    assert environment.FOR_USERS.keys() & environment.OURS.keys() == set()


def test_the_parameters_of_a_space_have_the_settings_that_are_read() -> None:
    for kind, rows in study_file.PARAMETERS.items():
        form = _FORMS[kind]
        assert [row[0] for row in rows] == [*form.required, *form.optional]
    assert study_file.PARAMETERS.keys() == _FORMS.keys()


def test_every_command_and_each_of_its_options_is_on_the_page() -> None:
    page = (REFERENCE / "commands.md").read_text()
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        for path, each in getattr(command, "commands", {"": command}).items():
            section = page.split(f"\n## bandstand {name} {path}".rstrip() + "\n")[1].split("\n## ")[0]
            for option in each.params:
                if option.param_type_name == "option" and option.name != "help":
                    assert all(f"`{spelling}`" in section for spelling in option.opts), (name, option.name)


def test_every_answer_to_an_error_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| ", (REFERENCE / "errors.md").read_text(), re.MULTILINE)
    found = {name: (int(code), int(status)) for name, code, status in rows}
    assert {kind.__name__: tuple(answer) for kind, answer in ANSWERS.items()}.items() <= found.items()


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1}, "whole number ≥ 1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "number > 0 and ≤ 0.5"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**63}, "whole number ≥ 0"),
        ({"enum": ["best", "last"]}, '`"best"` or `"last"`'),
        ({"anyOf": [{"type": "integer"}, {"const": "auto"}, {"type": "null"}]}, 'whole number or `"auto"`'),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]}, "list of 2: number"),
        ({"type": "object", "additionalProperties": {"$ref": "#/$defs/Rule"}}, "table of whole number"),
        ({}, ""),
    ],
)
def test_a_type_is_told_in_words(schema: dict[str, object], words: str) -> None:
    assert type_in_words(schema, {"Rule": {"type": "integer"}}) == words
