"""What `bandstand run` and its process of workers tell each other survives the way as a line of text."""

from typing import Any

import pytest

from bandstand.errors import BandstandError, InputError, ServiceError, StudyInUseError
from bandstand.running.messages import (
    Instructions,
    Message,
    RunRefused,
    StudyAtRest,
    StudyNote,
    StudyOutcome,
    StudyStarted,
    line_from,
    message_from,
)
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import CodePlace

SPEC = StudySpec.model_validate(
    {
        "name": "told",
        "model": "project:build",
        "data": "project:load",
        "max_epochs": 9,
        "budget": {"epochs": 90},
        "space": {
            "rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
            "width": {"type": "categorical", "choices": [16, 32]},
        },
    }
)


@pytest.mark.parametrize(
    "message",
    [
        StudyStarted(study="told", workers=3),
        StudyNote(study="told", message="it waits\nfor resources"),
        StudyAtRest(study="told", outcome=StudyOutcome(state="stopped", reason="it was stopped")),
        RunRefused(kind="InputError", message="data must be there; got none"),
    ],
)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    line = line_from(message)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert message_from(line) == message


@pytest.mark.parametrize("more", [{}, {"data_may_differ": True, "labels": {"accelerator": "H200"}}])
def test_a_job_is_read_as_it_was_written(more: dict[str, Any]) -> None:
    job = Instructions(
        specs=(SPEC, SPEC.model_copy(update={"name": "told too"})),
        workers=None,
        code=CodePlace(folders=("/there", "/here"), current_folder="/here", arguments=("train.py", "--fast")),
        checkpoints_uri="file:///checkpoints",
        **more,
    )
    assert Instructions.from_line(line_from(job)) == job


@pytest.mark.parametrize("error", [InputError("a"), StudyInUseError("b"), ServiceError("c")])
def test_a_refusal_is_the_error_again_on_the_other_side(error: BandstandError) -> None:
    told = message_from(line_from(RunRefused.because_of(error)))
    assert isinstance(told, RunRefused)
    assert type(told.error()) is type(error)
    assert str(told.error()) == str(error)


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "ended", "study": "told", "outcome": {"state": "refused", "reason": ""}}\n',
        '{"event": "told", "study": "told"}\n',
        '{"event": "running", "study": "told", "workers": 1, "more": 2}\n',
    ],
)
def test_what_is_no_message_is_not_read_as_one(line: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        message_from(line)
