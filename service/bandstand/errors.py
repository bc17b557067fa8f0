"""All errors that a caller may act on, in one tree by cause. The docstring of an error is its meaning.

    BandstandError
      UserError                      the user can correct it
        InputError                   the request breaks a rule; nothing was written
          StudyNotFoundError
          ComparisonNotFoundError
          StudyNameTakenError
          DatabaseVersionError
          DatabaseRightsError
          MissingExtraError
          NotLoggedInError
          NotAllowedError
        StudyFailedError
        StudyDeletedError
        ForeignWriteError
        JobRefusedError
        ServerAnswerError
      PassingError                   it passes by itself; the same may work later
        DatabaseUnreachableError
        ClusterUnreachableError
        ServerUnreachableError
        TooManyRequestsError
        LocalRayDiedError
        StudyInUseError
        LeaseLostError
      InternalError                  a bug, of Bandstand's or of what it stands on
        ServiceError
        ServerMistakeError

A message has three parts: the rule, the value, the way out. `answer_to` gives the exit code of a command and the HTTP
status of a server for each error. Errors that one part of Bandstand raises for another, and that no caller sees (such
as `StaleAttemptError`), are defined in these parts.
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
    "DatabaseRightsError",
    "DatabaseUnreachableError",
    "DatabaseVersionError",
    "ForeignWriteError",
    "InputError",
    "InternalError",
    "JobRefusedError",
    "LeaseLostError",
    "LocalRayDiedError",
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
"""The exit code of the command line after Ctrl-C, as in shells."""


class BandstandError(Exception):
    """The base of all errors of Bandstand. Each error has one of three causes: the user, a passing problem, or a bug.

    Example:
        >>> from bandstand import BandstandError
        >>> from bandstand.study.study_spec import study_spec_from
        >>> try:
        ...     study_spec_from({"name": "digits", "epochs": 3}, "study.toml")
        ... except BandstandError as error:
        ...     print(error)
        study.toml: there is no setting epochs; did you mean max_epochs?
    """


# -- the user's to mend -----------------------------------------------------------------------------------------------


class UserError(BandstandError):
    """An error that the user can correct. Trying the same again fails again."""


class InputError(UserError, ValueError):
    """The request breaks a rule. Nothing was written."""


class StudyNotFoundError(InputError):
    """The database has no study of this name."""


class ComparisonNotFoundError(InputError):
    """The database has no comparison of this name."""


class StudyNameTakenError(InputError):
    """The name belongs to a study or comparison with other settings, or to an Optuna study of somebody else."""

    def __init__(self, message: str, differences: Sequence[str] = ()):
        super().__init__(message)
        self.differences = tuple(differences)
        """A line for each setting that differs from the stored one."""


class DatabaseVersionError(InputError):
    """The version of the database or of its schema does not fit this version of Bandstand."""


class DatabaseRightsError(InputError):
    """The login may not do in the database what Bandstand has to do, or the database takes no writes."""


class MissingExtraError(InputError, ModuleNotFoundError):
    """An optional package is not installed. The message names the extra to install."""


class NotLoggedInError(InputError):
    """The token for the server is missing or not valid."""


TOKEN_NEEDED = (
    "a valid token is needed; yours is missing, wrong, expired or revoked: create one with `bandstand token create` on "
    "the server's machine, then run `bandstand login`"
)
"""The message of a server, and of its client if an answer has no text."""


class NotAllowedError(InputError):
    """The role of the token does not allow this, or the study belongs to somebody else."""


class StudyFailedError(UserError):
    """The study failed. The message gives the reason."""


class StudyDeletedError(UserError):
    """Another program deleted the Optuna study while Bandstand was writing it. Nothing was written."""


class ForeignWriteError(UserError):
    """Another program wrote into Optuna's tables for a running study. Nothing was overwritten."""


class JobRefusedError(UserError):
    """The job server of the Ray cluster refuses this job."""


class ServerAnswerError(UserError):
    """The answer is not a Bandstand server's. The URL belongs to another program, or the server has another version."""


# -- passes by itself -------------------------------------------------------------------------------------------------


class PassingError(BandstandError):
    """A problem that passes by itself: something is away or busy. The same may work later."""


class DatabaseUnreachableError(PassingError):
    """PostgreSQL does not answer, or it refuses the login."""


class ClusterUnreachableError(PassingError):
    """The Ray cluster or its job server does not answer, does not work, or refuses the token."""


class ServerUnreachableError(PassingError):
    """The server does not answer, or it cannot work now."""


class TooManyRequestsError(PassingError):
    """There were too many requests to the server, even after waiting."""


class LocalRayDiedError(PassingError):
    """The Ray that was started on this machine did not start, or a part of it died. Nothing stored is lost."""


class StudyInUseError(PassingError):
    """Another process or a server runs the study. The message names it."""


class LeaseLostError(PassingError):
    """This process lost the study: the database went away, or another process runs the study now."""


# -- a bug ------------------------------------------------------------------------------------------------------------


class InternalError(BandstandError):
    """A bug of Bandstand or of a library. A log has the details."""


class ServiceError(InternalError):
    """A process that Bandstand started did not do its work. The message names its log."""


class ServerMistakeError(InternalError):
    """The server made a mistake. Its log has the details."""


# -- what is answered -------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The answer to an error."""

    exit_code: int
    """Exit code of a command."""
    status: int
    """HTTP status of a server."""


ANSWERS: Mapping[type[BandstandError], Answer] = MappingProxyType(
    {
        UserError: Answer(2, 422),
        StudyNotFoundError: Answer(2, 404),
        ComparisonNotFoundError: Answer(2, 404),
        StudyNameTakenError: Answer(2, 409),
        NotLoggedInError: Answer(2, 401),
        NotAllowedError: Answer(2, 403),
        DatabaseVersionError: Answer(2, 500),  # whoever asks the server cannot mend its database
        DatabaseRightsError: Answer(2, 500),  # likewise
        StudyFailedError: Answer(1, 422),  # a result rather than a mistake in the command
        PassingError: Answer(75, 503),  # EX_TEMPFAIL of sysexits.h
        StudyInUseError: Answer(75, 409),
        TooManyRequestsError: Answer(75, 429),
        InternalError: Answer(1, 500),  # 1 is also what Python ends with after a traceback
    }
)
"""The answers by class. An error without an entry has the answer of its nearest base class."""


def answer_to(kind: type[BandstandError]) -> Answer:
    """The exit code and the HTTP status for an error of this class.

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
