"""Every error a caller may act on, in one tree; the docstring of each is what it means.

A message has three parts: the rule, the value, the way out. `exit_code` is what the command line ends with:
2 where the user can mend the input, 1 where a study was begun and failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "INTERRUPTED",
    "BandstandError",
    "ClusterUnreachableError",
    "ComparisonNotFoundError",
    "DatabaseUnreachableError",
    "DatabaseVersionError",
    "ForeignWriteError",
    "InputError",
    "LeaseLostError",
    "NotAllowedError",
    "NotLoggedInError",
    "ServerAnswerError",
    "ServerUnreachableError",
    "ServiceError",
    "StudyDeletedError",
    "StudyFailedError",
    "StudyInUseError",
    "StudyNameTakenError",
    "StudyNotFoundError",
    "TooManyRequestsError",
    "one_line",
]


INTERRUPTED = 130
"""What the command line ends with after Ctrl-C, as shells have it."""


class BandstandError(Exception):
    """The root: anything Bandstand says no to."""

    exit_code = 1


class InputError(BandstandError, ValueError):
    """What was asked cannot be done as it stands; nothing was written."""

    exit_code = 2


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


class StudyInUseError(InputError):
    """Another coordinator holds the study's lease; the message names it."""


class DatabaseUnreachableError(InputError):
    """PostgreSQL does not answer, or refuses the login."""


class ClusterUnreachableError(InputError):
    """The Ray cluster that the environment names does not answer."""


class DatabaseVersionError(InputError):
    """The server or the schema is older or newer than this Bandstand can use."""


class NotLoggedInError(InputError):
    """The server wants a token, and has got none that is good."""


class NotAllowedError(InputError):
    """The token's role does not allow it, or the study is somebody else's."""


class TooManyRequestsError(BandstandError):
    """The server was asked too often, and waiting as it said did not help."""


class ServerUnreachableError(BandstandError):
    """The server does not answer, or says that it cannot work now; what was asked may be asked again."""


class ServerAnswerError(BandstandError):
    """What the server answered is none of ours: another program, another version, or a mistake of the server's."""


class StudyFailedError(BandstandError):
    """The study ended without a usable trial; the message gives the reason."""


class LeaseLostError(BandstandError):
    """The connection that held the study's lease was lost and another coordinator has it now."""


class StudyDeletedError(BandstandError):
    """Somebody else deleted the Optuna study that was to be written; nothing was."""


class ForeignWriteError(BandstandError):
    """Somebody else wrote in Optuna's tables what only this process may, and would be overwritten; nothing was."""


class ServiceError(BandstandError):
    """A process that Bandstand started did not do its work; the message names the log."""


def one_line(error: BaseException) -> str:
    """The first line of an error's message that says something, without terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no message"
