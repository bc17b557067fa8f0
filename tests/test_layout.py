"""Three packages in fixed folders: each is imported by its own name, and each folder says what lives in it."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bandstand
import bandstand_spaces
import bandstand_workers

ROOT = Path(__file__).parents[1]
FOLDERS = ("service", "workers", "search_spaces")
OLD_NAME = re.compile(rf"(?:^|-m )(?:{'|'.join(FOLDERS)})(?:[.:]\w+)+$|-m (?:{'|'.join(FOLDERS)})\b")
IMPORT_IN_TEXT = re.compile(rf"^\s*from (?:{'|'.join(FOLDERS)})[\w.]* import (?P<names>.+)$", re.MULTILINE)
OUR_NAMES = {path.stem for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} | {
    name for package in (bandstand, bandstand_spaces, bandstand_workers) for name in package.__all__
}
SOURCES = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py"))
MAY_NAME_THEM = (
    "0008_package_names.py", "test_package_names.py", "test_layout.py", "conftest.py", "test_user_modules.py",
    "test_code.py", "test_users_projects.py",
)  # fmt: skip
"""What renames references of the release before, with its tests, users' projects with such names, and these tests."""


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def named_in_text(tree: ast.AST) -> Iterator[str]:
    """Texts that name a module by a folder's name, as `mock.patch` or `python -m` would take them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OLD_NAME.search(node.value):
            yield node.value
        if isinstance(node, ast.List | ast.Tuple):
            texts = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
            yield from (str(after) for flag, after in itertools.pairwise(texts) if flag == "-m" and after in FOLDERS)


def imported_in_text(tree: ast.AST) -> Iterator[str]:
    """Imports of our own names in code that a text holds; a user's `workers` in such a text has other names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for found in IMPORT_IN_TEXT.finditer(node.value):
                if set(re.findall(r"\w+", found["names"])) & OUR_NAMES:
                    yield found.group()


def offences(source: str) -> list[str]:
    tree = ast.parse(source)
    own = [name for name in imported(tree) if name.split(".")[0] in FOLDERS]
    return [*own, *named_in_text(tree), *imported_in_text(tree)]


def test_no_source_imports_a_package_by_its_folder() -> None:
    assert len(SOURCES) > 300
    found = {
        path.relative_to(ROOT).as_posix(): offences(path.read_text())
        for path in SOURCES
        if path.name not in MAY_NAME_THEM
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import service.bandstand", "from workers.bandstand_workers import runner", "import search_spaces as spaces",
        "def f():\n    from service import study", "patch('service.bandstand.errors.one_line')",
        "a = 'workers.models:b'", "run([python, '-m', 'workers'])", "f'{python} -m workers job {run}'",
        "cell = 'import json\\nfrom service import Budget, StudySpec\\n'", "'from workers.models import digits_mlp'",
    ],
)  # fmt: skip
def test_an_import_by_a_folder_is_found(source: str) -> None:
    assert offences(source)


@pytest.mark.parametrize(
    "source",
    [
        "from tests.service.desk import Desk",
        "workers = 3",
        "'workers. The rest'",
        "run(['-m', 'bandstand'])",
        "'from workers import mine'",
    ],
)
def test_what_only_looks_like_one_is_let_be(source: str) -> None:
    assert not offences(source)


@pytest.mark.parametrize("name", ["service", "service.bandstand.errors", "workers.bandstand_workers", "search_spaces"])
def test_this_process_refuses_a_second_copy_of_a_package(name: str) -> None:
    with pytest.raises(ImportError, match=r"a package must be imported by its own name; got '\w+': drop it"):
        importlib.import_module(name)


def test_a_module_of_a_user_may_be_called_like_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workers.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert importlib.import_module("workers").ANSWER == 42
    finally:
        sys.modules.pop("workers", None)


def test_no_second_copy_of_a_package_is_loaded() -> None:
    assert [name for name in sys.modules if name.split(".")[0] in FOLDERS] == []


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", "deploy", "docs"])
def test_a_folder_says_what_lives_in_it(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text()
    assert text.startswith("# ")
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / folder / path).exists(), path
    if folder in FOLDERS:
        for name in re.findall(r"^ {4}(\w+/(?:\w+/)?)", text, re.MULTILINE):
            assert (ROOT / folder / name).is_dir() or list((ROOT / folder).glob(f"*/{name}")), name


NAMED_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)}|tests|docs)/[\w./-]*\w")
MAKE_PATHS_UP = ("test_clone.py", "test_wheel.py", "test_code.py", "test_users_projects.py")


def test_every_path_that_a_text_names_is_there() -> None:
    texts = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml", *SOURCES]
    texts += [path for folder in ("deploy", "docs", "tests", *FOLDERS) for path in (ROOT / folder).rglob("*.md")]
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in texts
        if path.name not in MAKE_PATHS_UP
        for name in NAMED_PATH.findall(path.read_text())
    }
    assert len(named) > 30
    assert {(text, name) for text, name in named if not (ROOT / name).exists()} == set()
