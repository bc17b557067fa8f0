"""A study on a server, as its user holds it: nothing but a name, all else is asked for.

Knows what may be asked of a study. Must not know how requests travel.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from service.client.answers import Best, progress_from, record_from, spec_from
from service.client.connection import Connection, path_of
from service.client.packing import pack_study
from service.client.sending import send_code
from service.client.stream import follow_events
from service.errors import BandstandError, InputError
from service.study import Budget, StudySpec

if TYPE_CHECKING:
    import pandas as pd

    from service.views import StudyProgress

__all__ = ["RemoteStudy", "write_report"]

ENDED = ("finished", "stopped", "failed", "deleted")
FORMS = {".html": "html", ".md": "md", ".json": "json"}
_POLL_SECONDS = 2.0
_PAGE = 1000
_AWAY_SECONDS = 1800.0
"""How long a watched server may be away."""


class RemoteStudy:
    """A study on a server. Everything it tells is asked for at that moment.

    Raises, from any method and property:
        StudyNotFoundError: it is not there any more.
        NotLoggedInError, NotAllowedError, TooManyRequestsError, ServerUnreachableError, ServerAnswerError: as of
            `Client`.
    """

    def __init__(self, connection: Connection, name: str):
        """Use `Client.submit` or `Client.study`."""
        self.name = name
        self._connection = connection

    def __repr__(self) -> str:
        return f"<study {self.name!r} on {self._connection.url}>"

    # -- looking ----------------------------------------------------------------------------------------------------

    def detail(self) -> dict[str, Any]:
        """All that the server tells of it in one answer, as it tells it: spec, progress, submission, runs."""
        answer: dict[str, Any] = self._connection.get(self._path())
        return answer

    @property
    def state(self) -> str:
        """queued, running, interrupted, stopped, finished or failed."""
        return str(self.detail()["state"])

    @property
    def spec(self) -> StudySpec:
        """What was asked."""
        return spec_from(self.detail()["spec"])

    @property
    def progress(self) -> StudyProgress:
        """Where it stands."""
        detail = self.detail()
        return progress_from(spec_from(detail["spec"]), detail["progress"])

    @property
    def best(self) -> Best:
        """The trial that it would choose now.

        Raises:
            StudyNotFoundError: none has a value yet, too.
        """
        answer = self._connection.get(self._path("best"))
        return record_from(Best, {"test_metrics": None, **answer})

    def trials(self) -> pd.DataFrame:
        """A row per trial: number, state, reason, message, value, best_epoch, epochs, seconds, …, and params_<name>."""
        import pandas as pd

        rows = []
        for trial in self.iter_trials():
            params = trial.pop("params")
            rows.append(trial | {f"params_{name}": value for name, value in params.items()})
        frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["number", "state", "value", "epochs"])
        for column in ("created_at", "ended_at"):
            if column in frame:
                frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
        for column in ("value", "seconds"):
            if column in frame:
                frame[column] = frame[column].astype(float)
        return frame

    def iter_trials(self) -> Iterator[dict[str, Any]]:
        """All trials as the server tells them, by their numbers, page by page."""
        after = None
        while True:
            page = self._connection.get(self._path("trials"), after=after, limit=_PAGE)
            yield from page["trials"]
            after = page.get("next")
            if after is None:
                return

    def report(self, file: str | Path, form: str | None = None) -> Path:
        """Write the report; the file's suffix says its form: .html, .md or .json.

        Raises:
            InputError: neither suffix nor `form` names a form, or the folder is not there.
        """
        return write_report(self._connection, self._path("report"), file, form)

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
            log = self._connection.get(self._path("logs"), run=current, start=start)
            if log["text"]:
                yield str(log["text"])
            start, current = log["next"], log["run"]
            if log["text"] and not log["ended"]:
                continue
            if not follow:
                return
            if log["ended"] or current is None:
                newest = self._connection.get(self._path("logs"), limit=1)["run"]
                if run is None and newest is not None and newest != current:
                    current, start = newest, 0
                    continue
                if run is not None or self.state in ENDED:
                    return
            time.sleep(_POLL_SECONDS)

    # -- waiting ----------------------------------------------------------------------------------------------------

    def watch(self, stream: TextIO | None = None) -> str:
        """Show its progress until it ends. Ctrl-C ends the watching, not the study.

        A lost connection and a server that is started again are waited for.

        Args:
            stream: where to show it; standard output when left out.

        Returns:
            Its state: finished, stopped or failed; another one after Ctrl-C.
        """
        from service.client.watching import make_view

        detail = self.detail()
        spec, state = spec_from(detail["spec"]), str(detail["state"])
        try:
            with make_view(datetime.fromisoformat(detail["created_at"]), stream) as view:
                view.show(progress_from(spec, detail["progress"]))

                def lost(error: BandstandError) -> None:
                    view.say(f"{error}; trying again")

                for event in follow_events(
                    self._connection, self._path("events"), ended="ended", patience_seconds=_AWAY_SECONDS, lost=lost
                ):
                    if event.kind == "progress":
                        state = str(event.content["state"])
                        view.show(progress_from(spec, event.content))
                    elif event.kind == "ended":
                        state = str(event.content["state"])
        except KeyboardInterrupt:
            print(f"{self.name} goes on at {self._connection.url}; it is only watched no more", file=sys.stderr)
        return state

    def wait(self, timeout_seconds: float | None = None) -> str:
        """Wait until it has ended; returns its state.

        Raises:
            TimeoutError: it has not ended in so many seconds.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while (state := self.state) not in ENDED:
            if until is not None and time.monotonic() + _POLL_SECONDS > until:
                raise TimeoutError(f"study {self.name!r} is {state} after {timeout_seconds:g} s")
            time.sleep(_POLL_SECONDS)
        return state

    # -- asking -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Pause it at the end of the epochs that train now; `resume` goes on."""
        self._connection.post(self._path("stop"), repeatable=True)

    def resume(self, code: str | Path | None = None) -> None:
        """Have it go on where it stands.

        Args:
            code: a folder whose content replaces its code.

        Raises:
            InputError: it has finished, or the folder cannot be used.
        """
        sha256 = None
        if code is not None:
            packed = pack_study(self.spec, code)
            _check_replacement(packed.spec, Path(code))
            sha256 = send_code(self._connection, packed.archive)
        self._connection.post(self._path("resume"), {"code": sha256})

    def extend(self, budget: Budget | Mapping[str, float]) -> None:
        """Give it another budget, in all; it goes on with that if it has ended.

        Args:
            budget: any of epochs, trials, wall_seconds, gpu_hours.
        """
        limits = budget.model_dump(exclude_none=True) if isinstance(budget, Budget) else dict(budget)
        self._connection.post(self._path("extend"), {"budget": limits})

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Have it try these params next."""
        self._connection.post(self._path("enqueue"), {"params": dict(params)})

    def delete(self) -> None:
        """Delete it with its trials and logs, once it has ended; its models stay where they are."""
        self._connection.request("DELETE", self._path(), repeatable=False)

    def _path(self, *parts: str) -> str:
        return path_of("studies", self.name, *parts)


def _check_replacement(spec: StudySpec, folder: Path) -> None:
    """Refuse a folder in place of code that it cannot hold.

    Raises:
        InputError: the study's functions are of a notebook.
    """
    if any(one.startswith("bandstand_notebook_") for one in (spec.model, spec.data, *spec.callbacks)):
        raise InputError(
            f"a folder can replace a folder; the functions of {spec.name!r} were written in a notebook, which "
            f"{str(folder)!r} is not: submit it under a new name"
        )


def write_report(connection: Connection, path: str, file: str | Path, form: str | None) -> Path:
    """Fetch a report and write it; as `RemoteStudy.report`."""
    target = Path(file)
    form = form or FORMS.get(target.suffix)
    if form not in FORMS.values():
        raise InputError(f"a report's file must end in .html, .md or .json; got {target.name!r}")
    if not target.absolute().parent.is_dir():
        raise InputError(f"the report's folder must exist; {str(target.parent)!r} does not: make it")
    answer = connection.request("GET", path, params={"form": form}, timeout=300.0)
    target.write_bytes(answer.content)
    return target.absolute()
