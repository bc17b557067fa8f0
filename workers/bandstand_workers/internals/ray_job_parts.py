"""Private parts of Ray's job client.

Knows Ray 2.52 to 2.60, where all of them are the same. Must not know jobs of ours.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from ray.job_submission import JobSubmissionClient

__all__ = ["PatientClient", "answer_in", "quiet_client"]

TIME_LIMITS_SECONDS = (5.0, 25.0)
"""To connect, and between two pieces of an answer; without them a hanging head would hang the dispatcher."""
_TALKATIVE = (
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
    "ray._private.runtime_env.packaging",
)
_STATUS = re.compile(r"Request failed with status code (\d+): (.*)", re.DOTALL)


class PatientClient(JobSubmissionClient):  # type: ignore[misc]  # Ray has no types
    """Ray's client with time limits for every request; it has none of its own anywhere.

    Stands on `_do_request`, through which all of its requests go, and which hands further options to `requests`. If
    requests go elsewhere, they lose their time limits without a word, and a head that hangs hangs the dispatcher.
    """

    def _do_request(self, *arguments: Any, **options: Any) -> Any:
        return super()._do_request(*arguments, timeout=TIME_LIMITS_SECONDS, **options)


def quiet_client() -> None:
    """Have the client keep to itself what it does; warnings are still told.

    Stands on the names of its modules, which are those of its loggers. If they change, lines about uploads stand among
    those of the dispatcher.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def answer_in(error: BaseException) -> tuple[int, str] | None:
    """HTTP status and text of the answer that the client has raised an error for; None if the error is of another kind.

    Stands on the words of the client's message, the only place where the status is. If they change, an answer 500 or
    above counts as a job that is refused, and its submission ends instead of being tried again.
    """
    found = _STATUS.match(str(error))
    return (int(found[1]), found[2]) if found else None
