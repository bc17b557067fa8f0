"""A canary for Typer's usage errors: users see a line, not a traceback."""

from __future__ import annotations

import sys

import pytest
import typer

from bandstand.commands.cli import main

WRONG = {
    "an unknown command": (["rum"], "No such command 'rum'"),
    "an unknown option": (["run", "--fast", "x"], "No such option"),
    "a missing argument": (["best"], "Missing argument 'NAME'"),
    "a value of another kind": (["dashboard", "--port", "high"], "Invalid value for '--port'"),
    "one argument too many": (["best", "a", "b"], "unexpected extra argument"),
    "a missing option": (["export", "a"], "Missing option '--output'"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_command_line_that_cannot_be_understood_is_one_line_on_standard_error(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = WRONG[wrong]
    monkeypatch.setattr(sys, "argv", ["bandstand", *arguments])
    try:
        main()
    except SystemExit as ended:
        assert ended.code == 2
    except Exception as error:
        raise AssertionError(
            f"Typer {typer.__version__} raises {type(error).__mro__} for {wrong}, which is no UsageError of "
            "commands/internals.py: take the class of these bases that all usage errors have"
        ) from error
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("bandstand: ")
    assert words.lower() in line.lower()
    assert line.endswith("--help`")
    assert said.out == ""
