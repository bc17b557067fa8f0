"""What `bandstand run` and its process of workers tell each other: one line of JSON a message.

The front process writes one `Instructions`; the workers' process answers with `Message`s. Knows the messages and how
they read as text. Must not know pipes, nor who acts on a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bandstand.errors import BandstandError, error_named
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand.trials.code_fingerprint import CodePrint

__all__ = [
    "Conditions",
    "Instructions",
    "Message",
    "RunRefused",
    "StudyAtRest",
    "StudyNote",
    "StudyOutcome",
    "StudyStarted",
    "Tell",
    "line_from",
    "message_from",
]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """On what conditions a coordinator takes up a study."""

    data_may_differ: bool = False
    """Whether trainers are given work whose data are not those of the study's first trainer."""
    code: CodePrint | None = None
    """The code that its trainers have; None where nothing is known of it."""
    code_may_differ: bool = False
    """Whether trainers are given work whose code is another."""


class Instructions(_Line):
    """What a process of workers is asked to do."""

    specs: tuple[StudySpec, ...]
    """Run in this order."""
    workers: int | None
    """Trainers that work at the same time; None: as many as there is room for."""
    code: CodePlace
    checkpoints_uri: str
    data_may_differ: bool = False
    """Whether trainers are given work whose data are not those of the study's first trainer."""
    code_may_differ: bool = False
    """Whether trainers are given work whose code is not the one of `code_prints`."""
    code_prints: Mapping[str, CodePrint] = Field(default_factory=dict)
    """By study, the fingerprint of its code."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """That the nodes of its trainers must have, as Ray's label selectors."""

    def conditions_of(self, study: str) -> Conditions:
        """On what conditions its coordinator takes up a study."""
        return Conditions(
            data_may_differ=self.data_may_differ,
            code=self.code_prints.get(study),
            code_may_differ=self.code_may_differ,
        )

    @classmethod
    def from_line(cls, line: str) -> Instructions:
        """The job that `line_from` has written.

        Raises:
            ValueError: the line is none.
        """
        return cls.model_validate(json.loads(line))


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """How a study that was begun has come to rest."""

    state: Literal["finished", "stopped", "failed"]
    """One that is stopped can be run again to go on."""
    reason: str


class StudyStarted(_Line):
    """A study runs from now on."""

    event: Literal["running"] = "running"
    study: str
    workers: int


class StudyNote(_Line):
    """Something about how a study runs, for people; it may come at any time."""

    event: Literal["note"] = "note"
    study: str
    message: str


class StudyAtRest(_Line):
    """A study runs no longer."""

    event: Literal["ended"] = "ended"
    study: str
    outcome: StudyOutcome


class RunRefused(_Line):
    """Nothing more is run, because of an error. It travels by name: not every exception can be pickled."""

    event: Literal["refused"] = "refused"
    kind: str
    """The name of the error's class."""
    message: str

    @classmethod
    def because_of(cls, error: BandstandError) -> RunRefused:
        """The refusal that tells this error."""
        return cls(kind=type(error).__name__, message=str(error))

    def error(self) -> BandstandError:
        """The error that was told, as one of this process."""
        return error_named(self.kind, self.message)


Message = Annotated[StudyStarted | StudyNote | StudyAtRest | RunRefused, Field(discriminator="event")]
"""What a process of workers tells."""
_MESSAGES: TypeAdapter[StudyStarted | StudyNote | StudyAtRest | RunRefused] = TypeAdapter(Message)


Tell = Callable[[Message], None]
"""Takes what a process of workers tells, in the thread that runs the studies."""


def line_from(message: Instructions | Message) -> str:
    """A message as a line of JSON, its end included."""
    return json.dumps(message.model_dump(mode="json")) + "\n"


def message_from(line: str) -> Message:
    """What a line of a process of workers tells.

    Raises:
        ValueError: the line is no message.
    """
    return _MESSAGES.validate_python(json.loads(line))
