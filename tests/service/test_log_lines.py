"""Logs for people and for programs that collect them."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest

from bandstand.log_lines import JsonLines, LogFormat, begin_logging, choose_format, chosen_format, line_about


def logged(chosen, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a process of its own
    monkeypatch.setenv("BANDSTAND_LOG_FORMAT", "text")  # given back at the end
    choose_format(chosen)
    stream = io.StringIO()
    begin_logging("%(levelname)s %(message)s", stream=stream)
    logging.getLogger("bandstand_workers.dispatch").warning(
        "%s: run %d submitted", "digits", 3, extra={"study": "digits", "run": 3}
    )
    try:
        raise ValueError("no such layer\nat all")
    except ValueError:
        logging.getLogger("bandstand.api").exception("trial ended", extra={"trial": 7})
    return stream.getvalue()


def test_a_line_of_json_says_when_where_and_about_which_study_and_trial(monkeypatch):
    first, second = map(json.loads, logged(LogFormat.JSON, monkeypatch).splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "warning", "logger": "bandstand_workers.dispatch", "message": "digits: run 3 submitted",
        "study": "digits", "run": 3,
    }  # fmt: skip
    assert second["trial"] == 7
    assert "study" not in second
    assert second["error"].endswith("ValueError: no such layer\nat all")


def test_lines_for_people_are_as_the_format_says(monkeypatch):
    assert logged(LogFormat.TEXT, monkeypatch).startswith(
        "WARNING digits: run 3 submitted\nERROR trial ended\nTraceback"
    )


@pytest.mark.parametrize(("value", "meant"), [("json", LogFormat.JSON), ("text", LogFormat.TEXT), ("", LogFormat.TEXT)])
def test_processes_that_a_server_starts_take_its_format_from_the_environment(value, meant, monkeypatch):
    monkeypatch.setenv("BANDSTAND_LOG_FORMAT", value)
    assert chosen_format() is meant


def test_what_cannot_be_json_is_written_as_text():
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (object,), None)
    record.study = object()
    assert json.loads(JsonLines().format(record))["study"].startswith("<object")


def test_what_a_process_is_about_stands_in_all_its_records_unless_they_say_otherwise():
    def line_of(**about):
        record = logging.makeLogRecord({"name": "x", "levelno": logging.WARNING, "msg": "late"} | about)
        told = json.loads(JsonLines({"study": "digits"}).format(record))
        return told["study"], told.get("trial")

    assert line_of() == ("digits", None)
    assert line_of(trial=3) == ("digits", 3)
    assert line_of(study="other") == ("other", None)


def test_a_line_of_a_process_itself_has_the_chosen_format(monkeypatch):
    def say(**about):
        return line_about("it ended\nbadly", logger="job", level="error", text="digits: it ended", **about)

    monkeypatch.setenv("BANDSTAND_LOG_FORMAT", "text")
    assert say(study="digits") == "digits: it ended"
    monkeypatch.setenv("BANDSTAND_LOG_FORMAT", "json")
    (line,) = say(study="digits", trial=None).splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {"level": "error", "logger": "job", "message": "it ended\nbadly", "study": "digits"}


def test_serve_takes_the_format_as_an_option_and_refuses_others():
    command = [sys.executable, "-m", "bandstand", "serve", "--log-format", "xml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--log-format" in done.stderr
