"""Every error has one cause, and is answered by one table, on the command line and over HTTP."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bandstand import errors
from bandstand.api.schemas.problem_details import register_problems
from bandstand.errors import (
    ANSWERS,
    BandstandError,
    DatabaseRightsError,
    DatabaseUnreachableError,
    InputError,
    InternalError,
    PassingError,
    ServiceError,
    UserError,
    answer_to,
    error_named,
)
from tests.service.commands.in_process import Bandstand

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("service", "workers", "search_spaces") for path in (ROOT / folder).rglob("*.py"))
CAUSES = (UserError, PassingError, InternalError)
BETWEEN_PARTS = {
    "CheckpointError", "EndedError", "NoLoginError", "NotBegunError", "OtherShapeError", "OverwriteError",
    "ReplacedLogError", "ScriptStopped", "StaleAttemptError", "TrialUnwantedError", "UnansweredError",
    "UnstorableNameError", "_MemoryShortError", "_NotMadeError", "_ObstacleError", "_TooMuchError",
}  # fmt: skip
"""What one part tells another that acts on it; no caller sees them."""


def kinds_below(kind: type[BandstandError]) -> Iterator[type[BandstandError]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("bandstand"):
            yield below
            yield from kinds_below(below)


KINDS = sorted(set(kinds_below(BandstandError)), key=lambda kind: kind.__name__)


def error_classes_in(tree: ast.Module) -> Iterator[str]:
    """Classes whose name or a base's name says that they are raised."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            if any(re.search(r"(Error|Exception)$", name) for name in (node.name, *bases)):
                yield node.name


def drawn_tree() -> dict[str, str]:
    """Each class in the drawing at the head of the module, and the one that it stands under."""
    above: list[tuple[int, str]] = []
    found: dict[str, str] = {}
    for indent, name in re.findall(r"^( {4,})(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        above = [(depth, parent) for depth, parent in above if depth < len(indent)]
        if above:
            found[name] = above[-1][1]
        above.append((len(indent), name))
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    assert drawn_tree() == {kind.__name__: (kind.__bases__[0]).__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_has_exactly_one_cause(kind: type[BandstandError]) -> None:
    assert len([cause for cause in CAUSES if issubclass(kind, cause)]) == 1
    assert kind.__module__ == "bandstand.errors"
    assert kind.__name__ in errors.__all__


def test_every_error_class_of_the_project_is_in_the_tree_or_stays_between_two_parts() -> None:
    found = {name for path in SOURCES for name in error_classes_in(ast.parse(path.read_text()))}
    assert found - {kind.__name__ for kind in KINDS} - {"BandstandError"} == BETWEEN_PARTS


def test_every_cause_has_an_answer_and_no_two_have_the_same() -> None:
    answers = [ANSWERS[cause] for cause in CAUSES]
    assert len(set(answers)) == len(CAUSES)
    assert [answer.status for answer in answers] == [422, 503, 500]


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_ends_with_the_exit_code_of_its_errors_cause(
    kind: type[BandstandError], bandstand: Bandstand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"raises_{kind.__name__}"
    (tmp_path / f"{name}.py").write_text(f"from bandstand.errors import {kind.__name__}\nraise {kind.__name__}('no')\n")
    monkeypatch.chdir(tmp_path)
    said = bandstand("run", f"{name}.py:study")
    assert (said.code, said.err) == (answer_to(kind).exit_code, "bandstand: no\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_answers_with_the_status_of_an_errors_cause(kind: type[BandstandError]) -> None:
    app = FastAPI()
    register_problems(app)

    @app.get("/")
    def fail() -> None:
        raise kind("no")

    answer = TestClient(app).get("/")
    assert answer.status_code == answer.json()["status"] == answer_to(kind).status
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)
    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
    told = {  # their messages have the database's address
        DatabaseUnreachableError: "the database does not answer; try again in a moment",
        DatabaseRightsError: "the server's database refuses this: whoever runs it finds the error in its log",
    }
    assert answer.json()["detail"] == told.get(kind, "no")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_another_process_is_the_same_here(kind: type[BandstandError]) -> None:
    error = error_named(kind.__name__, "no")
    assert (type(error), str(error)) == (kind, "no")


@pytest.mark.parametrize("name", ["one_line", "Sequence", "KeyError", "nothing"])
def test_an_error_of_an_unknown_name_is_one_of_a_process(name: str) -> None:
    assert type(error_named(name, "no")) is ServiceError


def test_no_handler_only_keeps_an_error_of_ours_from_the_next_handler() -> None:
    ours = {kind.__name__ for kind in (BandstandError, *KINDS)}
    found = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and node.type is not None
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Raise)
        and node.body[0].exc is None
        and set(re.findall(r"\w+", ast.unparse(node.type))) & ours
    ]
    assert found == []


def test_what_passes_by_itself_is_no_mistake_in_what_was_asked() -> None:
    assert not [kind for kind in KINDS if issubclass(kind, PassingError) and issubclass(kind, InputError | ValueError)]
