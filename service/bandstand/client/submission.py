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
    """A study or a comparison on a server. Everything it tells is asked for at that moment.

    Raises, from any method and property:
        StudyNotFoundError: it is not there any more.
        NotLoggedInError, NotAllowedError, TooManyRequestsError, ServerUnreachableError, ServerAnswerError: as of
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
        """Where it stands, in a word."""
        raise NotImplementedError

    @property
    def spec(self) -> StudySpec:
        """What was asked; of a comparison, what all of its studies share."""
        raise NotImplementedError

    def logs(self, follow: bool = False, run: int | None = None) -> str:
        """What the study's jobs have printed.

        Args:
            follow: print it as it comes, until nothing more will.
            run: which job, from 1; the latest when left out.
        """
        pieces = []
        for piece in self.iter_logs(follow, run):
            pieces.append(piece)
            if follow:
                print(piece, end="", flush=True)
        return "".join(pieces)

    def iter_logs(self, follow: bool = False, run: int | None = None) -> Iterator[str]:
        """The same, piece by piece; following goes on with the job that takes another one's place."""
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
        """Write the report; the file's suffix says its form: .html, .md or .json.

        Raises:
            InputError: neither suffix nor `form` names a form, or the folder is not there.
        """
        target = Path(file)
        form = form or _FORMS.get(target.suffix)
        if form not in _FORMS.values():
            raise InputError(f"a report's file must end in .html, .md or .json; got {target.name!r}")
        if not target.absolute().parent.is_dir():
            raise InputError(f"the report's folder must exist; {str(target.parent)!r} does not: make it")
        path = path_of(self._resource, self.name, "report")
        answer = self._connection.request("GET", path, params={"form": form}, timeout=_REPORT_SECONDS)
        target.write_bytes(answer.content)
        return target.absolute()

    def wait(self, timeout_seconds: float | None = None) -> str:
        """Wait until it has ended; returns its state.

        Raises:
            TimeoutError: it has not ended in so many seconds.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while (state := self.state) not in ENDED:
            if until is not None and time.monotonic() + POLL_SECONDS > until:
                raise TimeoutError(f"{self.kind} {self.name!r} is {state} after {timeout_seconds:g} s")
            time.sleep(POLL_SECONDS)
        return state

    def stop(self) -> None:
        """Pause it at the end of the epochs that train now; `resume` goes on."""
        self._connection.post(self._path("stop"), repeatable=True)

    def resume(self, code: str | Path | None = None, *, data_may_differ: bool = False) -> None:
        """Have it go on where it stands.

        Args:
            code: a folder whose content replaces its code.
            data_may_differ: go on where a trainer has other data than the study's first; the study says so.

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
        """Delete it with its trials, logs, checkpoints and models, once it has ended."""
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
            f"a folder can replace a folder; the functions of {spec.name!r} were written in a notebook, which "
            f"{str(folder)!r} is not: submit it under a new name"
        )
