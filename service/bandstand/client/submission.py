"""What was submitted to a server, a study or a comparison: what both can be asked.

Knows jobs, logs and the queue. Must not know what is in a study or a comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bandstand.client.answers import LogPiece, record_from
from bandstand.client.code_upload import send_code
from bandstand.client.connection import Connection, path_of
from bandstand.client.packing import pack_study
from bandstand.errors import InputError
from bandstand.study.states import StudyState
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.packed_functions import is_packed

__all__ = ["ENDED", "POLL_SECONDS", "RemoteSubmission"]

ENDED = tuple(state for state in StudyState if state.has_ended)
POLL_SECONDS = 2.0
_FORMS = {".html": "html", ".md": "md", ".json": "json"}
_REPORT_SECONDS = 330.0
"""A server takes up to five minutes for one."""


class RemoteSubmission:
    """A study or a comparison on a server. Each property and method asks the server.

    Raises, from any method and property:
        StudyNotFoundError: it does not exist any more.
        NotLoggedInError, NotAllowedError, TooManyRequestsError, ServerUnreachableError, ServerAnswerError: as from
            `Client`.
    """

    kind = "study"
    _resource = "studies"

    def __init__(self, connection: Connection, name: str):
        """Use `Client`."""
        self.name = name
        self._connection = connection

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r} on {self._connection.url}>"

    @property
    def state(self) -> str:
        """The state in one word."""
        raise NotImplementedError

    @property
    def spec(self) -> StudySpec:
        """The settings of the study, or those that all studies of the comparison share."""
        raise NotImplementedError

    def logs(self, follow: bool = False, run: int | None = None) -> str:
        """Get the output of a job.

        Args:
            follow: also print the output while it comes, until the job ends.
            run: number of the job, from 1. Default: the latest.
        """
        pieces = []
        for piece in self.iter_logs(follow, run):
            pieces.append(piece)
            if follow:
                print(piece, end="", flush=True)
        return "".join(pieces)

    def iter_logs(self, follow: bool = False, run: int | None = None) -> Iterator[str]:
        """Get the same output in pieces. With `follow`, a job that replaces another one is followed, too."""
        current, start = run, 0
        while True:
            log = record_from(LogPiece, self._connection.get(self._path("logs"), run=current, start=start))
            if log.text:
                yield log.text
            start, current = log.next, log.run
            if log.text and not log.ended:
                continue
            if not follow:
                return
            if log.ended or current is None:
                newest = record_from(LogPiece, self._connection.get(self._path("logs"), limit=1)).run
                if run is None and newest is not None and newest != current:
                    current, start = newest, 0
                    continue
                if run is not None or self.state in ENDED:
                    return
            time.sleep(POLL_SECONDS)

    def report(self, file: str | Path, form: str | None = None) -> Path:
        """Write the report to a file and return its absolute path.

        Args:
            file: the file to write: .html, .md or .json.
            form: html, md or json. Default: the suffix of the file.

        Raises:
            InputError: neither the suffix nor `form` names a format, or the folder does not exist.
        """
        target = Path(file)
        form = form or _FORMS.get(target.suffix)
        if form not in _FORMS.values():
            raise InputError(f"a report's file must end in .html, .md or .json; got {target.name!r}")
        if not target.absolute().parent.is_dir():
            raise InputError(f"the report's folder must exist; {str(target.parent)!r} does not: create it")
        path = path_of(self._resource, self.name, "report")
        answer = self._connection.request("GET", path, params={"form": form}, timeout=_REPORT_SECONDS)
        target.write_bytes(answer.content)
        return target.absolute()

    def wait(self, timeout_seconds: float | None = None) -> str:
        """Wait until it has ended, and return its state.

        Raises:
            TimeoutError: it has not ended after `timeout_seconds`.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while (state := self.state) not in ENDED:
            if until is not None and time.monotonic() + POLL_SECONDS > until:
                raise TimeoutError(
                    f"the {self.kind} {self.name!r} has not ended after {timeout_seconds:g} s; it is {state}"
                )
            time.sleep(POLL_SECONDS)
        return state

    def stop(self) -> None:
        """Pause it at the end of the running epochs. `resume` continues it."""
        self._connection.post(self._path("stop"), repeatable=True)

    def resume(self, code: str | Path | None = None, *, data_may_differ: bool = False) -> None:
        """Continue it after it was stopped or has failed.

        Args:
            code: a folder that replaces its code.
            data_may_differ: continue even if a trainer loads other data than the study's first trainer. A note of the
                study mentions it.

        Raises:
            InputError: it has finished, or the folder cannot be used.
        """
        sha256 = None
        if code is not None:
            packed = pack_study(self.spec, code)
            _check_replacement(packed.spec, Path(code))
            sha256 = send_code(self._connection, packed.archive)
        self._connection.post(self._path("resume"), {"code": sha256, "data_may_differ": data_may_differ})

    def delete(self) -> None:
        """Delete it with its trials, logs, checkpoints and models. It must have ended.

        Raises:
            StudyInUseError: it has not ended.
        """
        self._connection.request("DELETE", self._path(), repeatable=False)

    def _path(self, *parts: str) -> str:
        """Of what both can be asked: a comparison is stopped, resumed and deleted as a study of its name."""
        return path_of("studies", self.name, *parts)


def _check_replacement(spec: StudySpec, folder: Path) -> None:
    """Refuse a folder in place of code that it cannot hold.

    Raises:
        InputError: the study's functions are of a notebook.
    """
    if any(is_packed(one) for one in spec.references):
        raise InputError(
            f"a folder cannot replace functions from a notebook, which {spec.name!r} has: submit the study with the "
            "folder under a new name"
        )
