"""What is shown of a study: in a terminal, in a notebook, in a pipe."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from bandstand.client.answers import progress_from
from bandstand.client.watching import LineView, PipeView, TerminalView, make_view
from bandstand.commands.server.submitting import _harmless
from bandstand.errors import ServerAnswerError
from bandstand.study.study_spec import StudySpec

NOW = datetime.now(UTC)


def told(spec: StudySpec, **changes: object) -> dict[str, object]:
    best = {"number": 3, "params": {"rate": 0.5}, "value": 0.25, "epoch": 4, "epochs": 4, "state": "complete",
            "model_path": None}  # fmt: skip
    return {
        "budget": {"epochs": 30}, "state": "running", "reason": "", "counts": {"complete": 3, "running": 1},
        "spent_trials": 3, "epochs": 12, "wall_seconds": 4.0, "gpu_seconds": 0.0, "best": best,
        "rungs": {"1": 4, "4": 3}, "notices": [], "events": 20, "running": [
            {"number": 4, "params": {"rate": 0.1}, "epochs": 2, "granted": 4, "bracket": 0, "value": "NaN"},
        ],
    } | changes  # fmt: skip


@pytest.fixture
def progress(spec):
    made = spec(name="seen")
    return lambda **changes: progress_from(made, told(made, **changes))


def test_a_terminal_shows_a_table_that_stays(progress):
    screen = io.StringIO()
    with TerminalView(NOW, Console(file=screen, force_terminal=True, width=100)) as view:
        view.show(progress())
        view.say("the server is away; trying again")
        view.show(progress(state="finished", running=[]))
    last = screen.getvalue().split("\x1b[2K")[-1]
    assert "finished" in last
    assert "12 of 30 epochs" in last
    assert "best     val_loss 0.2500, lower is better (trial 3: rate 0.5)" in last
    assert "trying again" not in last


def test_a_notebook_shows_one_line_that_is_written_over(progress):
    page = io.StringIO()
    with LineView(page) as view:
        view.show(progress())
        view.say("away")
        view.show(progress(state="finished", counts={"complete": 4}))
    lines = page.getvalue().split("\r")
    best = "best val_loss 0.2500 (trial 3; lower is better)"
    assert lines[1] == f"seen: running, 40%, 12 epochs, 1 running, 3 done, {best}"
    assert lines[2].startswith("away ")
    assert len(lines[2]) == len(lines[1])
    assert page.getvalue().endswith("\nseen: best params rate 0.5\n")


def test_a_pipe_gets_a_line_when_something_has_changed(progress):
    page = io.StringIO()
    with PipeView(page) as view:
        for events in (20, 21, 22):
            view.show(progress(events=events))
        view.show(progress(epochs=14))
    assert [line.split(", ")[2] for line in page.getvalue().splitlines()[:-1]] == ["12 epochs", "14 epochs"]


def test_the_view_fits_the_place(monkeypatch):
    assert isinstance(make_view(NOW, io.StringIO()), PipeView)
    from ipykernel.kernelapp import IPKernelApp

    assert isinstance(make_view(NOW, io.StringIO()), PipeView), "a kernel that is installed is none that runs"
    monkeypatch.setattr(IPKernelApp, "initialized", classmethod(lambda kind: True))
    assert isinstance(make_view(NOW, io.StringIO()), LineView)


def test_an_answer_that_lacks_something_is_none_of_ours(spec):
    made = spec()
    for missing in ("budget", "rungs", "epochs"):
        answer = told(made)
        del answer[missing]
        with pytest.raises(ServerAnswerError, match="is not what this version expects"):
            progress_from(made, answer)


def test_a_log_cannot_steer_a_terminal():
    assert _harmless("one\n\ttwo\x1b]0;title\x07\x1b[2J\r\x9b3m") == "one\n\ttwo]0;title[2J\r3m"
