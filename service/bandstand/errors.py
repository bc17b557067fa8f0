"""Every error a caller may act on, in one tree by cause; the docstring of each is what it means.

    BandstandError
      UserError                      the user's to mend
        InputError                   what was asked cannot be done as it stands; nothing was written
          StudyNotFoundError
          ComparisonNotFoundError
          StudyNameTakenError
          DatabaseVersionError
          MissingExtraError
          NotLoggedInError
          NotAllowedError
        StudyFailedError
        StudyDeletedError
        ForeignWriteError
        JobRefusedError
        ServerAnswerError
      PassingError                   passes by itself; the same again later may succeed
        DatabaseUnreachableError
        ClusterUnreachableError
        ServerUnreachableError
        TooManyRequestsError
        StudyInUseError
        LeaseLostError
      InternalError                  a bug, of Bandstand's or of what it stands on
        ServiceError
        ServerMistakeError

A message has three parts: the rule, the value, the way out. `answer_to` is what an error ends a command with, and what
a server answers with. What one part tells another that acts on it, and no caller ever sees (such as
`StaleAttemptError`), stands with these parts and is not in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

__all__ = [
    "ANSWERS",
    "INTERRUPTED",
    "TOKEN_NEEDED",
    "Answer",
    "BandstandError",
    "ClusterUnreachableError",
    "ComparisonNotFoundError",
    "DatabaseUnreachableError",
    "DatabaseVersionError",
    "ForeignWriteError",
    "InputError",
    "InternalError",
    "JobRefusedError",
    "LeaseLostError",
    "MissingExtraError",
    "NotAllowedError",
    "NotLoggedInError",
    "PassingError",
    "ServerAnswerError",
    "ServerMistakeError",
    "ServerUnreachableError",
    "ServiceError",
    "StudyDeletedError",
    "StudyFailedError",
    "StudyInUseError",
    "StudyNameTakenError",
    "StudyNotFoundError",
    "TooManyRequestsError",
    "UserError",
    "answer_to",
    "error_named",
    "one_line",
]


INTERRUPTED = 130
"""What the command line ends with after Ctrl-C, as shells have it."""


class BandstandError(Exception):
    """The root: anything Bandstand says no to. Each error is of one of the three causes below."""


# -- the user's to mend -----------------------------------------------------------------------------------------------


class UserError(BandstandError):
    """The user's to mend: the same again fails the same way."""


class InputError(UserError, ValueError):
    """What was asked cannot be done as it stands; nothing was written."""


class StudyNotFoundError(InputError):
    """The database has no study of this name."""


class ComparisonNotFoundError(InputError):
    """The database has no comparison of this name."""


class StudyNameTakenError(InputError):
    """The name belongs to a study or comparison with a different spec, or to an Optuna study that is not ours."""

    def __init__(self, message: str, differences: Sequence[str] = ()):
        super().__init__(message)
        self.differences = tuple(differences)
        """A word on each setting that differs from what is stored."""


class DatabaseVersionError(InputError):
    """The server or the schema is older or newer than this Bandstand can use."""


class MissingExtraError(InputError, ModuleNotFoundError):
    """An optional package is not installed; the message names the extra that brings it."""


class NotLoggedInError(InputError):
    """The server wants a token, and has got none that is good."""


TOKEN_NEEDED = "a valid token is needed: get one from whoever runs the server, then log in with `bandstand login URL`"
"""What a server tells whoever has none, and its client where an answer has no text."""


class NotAllowedError(InputError):
    """The token's role does not allow it, or the study is somebody else's."""


class StudyFailedError(UserError):
    """The study ended without a usable trial; the message gives the reason."""


class StudyDeletedError(UserError):
    """Somebody else deleted the Optuna study that was to be written; nothing was."""


class ForeignWriteError(UserError):
    """Somebody else wrote in Optuna's tables what only this process may, and would be overwritten; nothing was."""


class JobRefusedError(UserError):
    """The Ray cluster's job server does not take this job as it is."""


class ServerAnswerError(UserError):
    """What the server answered is none of ours: the URL is another program's, or the server of another version."""


# -- passes by itself -------------------------------------------------------------------------------------------------


class PassingError(BandstandError):
    """Passes by itself: something is away or busy, and the same again later may succeed."""


class DatabaseUnreachableError(PassingError):
    """PostgreSQL does not answer, or refuses the login."""


class ClusterUnreachableError(PassingError):
    """The Ray cluster or its job server does not answer, or not as one that works, or refuses the token."""


class ServerUnreachableError(PassingError):
    """The server does not answer, or says that it cannot work now."""


class TooManyRequestsError(PassingError):
    """The server was asked too often, and waiting as it said did not help."""


class StudyInUseError(PassingError):
    """Another coordinator holds the study's lease, or a server runs it; the message names it."""


class LeaseLostError(PassingError):
    """The connection that held the study's lease broke: another coordinator has it now, or the database is away."""


# -- a bug ------------------------------------------------------------------------------------------------------------


class InternalError(BandstandError):
    """A bug, of Bandstand's or of what it stands on; a log has the story."""


class ServiceError(InternalError):
    """A process that Bandstand started did not do its work; the message names the log."""


class ServerMistakeError(InternalError):
    """The server says that it made a mistake; its log has the story."""


# -- what is answered -------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What an error is answered with."""

    exit_code: int
    """Of a command."""
    status: int
    """Of HTTP."""


ANSWERS: Mapping[type[BandstandError], Answer] = MappingProxyType(
    {
        UserError: Answer(2, 422),
        StudyNotFoundError: Answer(2, 404),
        ComparisonNotFoundError: Answer(2, 404),
        StudyNameTakenError: Answer(2, 409),
        NotLoggedInError: Answer(2, 401),
        NotAllowedError: Answer(2, 403),
        DatabaseVersionError: Answer(2, 500),  # whoever asks the server cannot mend its database
        StudyFailedError: Answer(1, 422),  # a result rather than a mistake in the command
        PassingError: Answer(75, 503),  # EX_TEMPFAIL of sysexits.h
        StudyInUseError: Answer(75, 409),
        TooManyRequestsError: Answer(75, 429),
        InternalError: Answer(1, 500),  # 1 is also what Python ends with after a traceback
    }
)
"""The only place that says so; an error that is not in it has the answer of its nearest class that is."""


def answer_to(kind: type[BandstandError]) -> Answer:
    """What an error of this kind is answered with.

    Example:
        >>> answer_to(DatabaseUnreachableError)
        Answer(exit_code=75, status=503)
    """
    return next((ANSWERS[each] for each in kind.__mro__ if each in ANSWERS), ANSWERS[InternalError])


def error_named(kind: str, message: str) -> BandstandError:
    """The error that another process has told by the name of its class; a `ServiceError` if the name is not known."""
    found = globals().get(kind)
    if isinstance(found, type) and issubclass(found, BandstandError):
        return found(message)
    return ServiceError(message)


def one_line(error: BaseException) -> str:
    """The first line of an error's message that says something, without terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no message"
