"""A study on a server, as its user holds it: nothing but a name, all else is asked for.

Knows what may be asked of a study. Must not know how requests travel.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from bandstand.client.answers import Best, StudyDetail, StudyEnd, progress_from, record_from, spec_from
from bandstand.client.stream import follow_events
from bandstand.client.submission import RemoteSubmission
from bandstand.errors import BandstandError
from bandstand.problem.budget import Budget
from bandstand.store.records import StudyProgress
from bandstand.study.states import StudyState
from bandstand.study.study_spec import StudySpec

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["RemoteStudy"]

_PAGE = 1000
_AWAY_SECONDS = 1800.0
"""How long a watched server may be away."""


class RemoteStudy(RemoteSubmission):
    """A study on a server; errors as of `RemoteSubmission`."""

    # -- looking ----------------------------------------------------------------------------------------------------

    def detail(self) -> dict[str, Any]:
        """All that the server tells of it in one answer, as it tells it: spec, progress, submission, runs."""
        return self._connection.get(self._path())

    @property
    def state(self) -> str:
        """queued, running, interrupted, stopped, finished or failed."""
        return self._look().state

    @property
    def spec(self) -> StudySpec:
        """What was asked."""
        return spec_from(self._look().spec)

    @property
    def progress(self) -> StudyProgress:
        """Where it stands."""
        detail = self._look()
        return progress_from(spec_from(detail.spec), detail.progress)

    @property
    def best(self) -> Best:
        """Its best trial so far.

        Raises:
            StudyNotFoundError: none has a value yet, too.
        """
        answer = self._connection.get(self._path("best"))
        return record_from(Best, answer)

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

    def _look(self) -> StudyDetail:
        return record_from(StudyDetail, self.detail())

    # -- waiting ----------------------------------------------------------------------------------------------------

    def watch(self, stream: TextIO | None = None) -> str:
        """Show its progress until it ends. Ctrl-C ends the watching, not the study.

        A lost connection and a server that is started again are waited for.

        Args:
            stream: where to show it; standard output when left out.

        Returns:
            Its state: finished, stopped or failed; another one after Ctrl-C.
        """
        from bandstand.client.watching import make_view

        detail = self._look()
        spec, state = spec_from(detail.spec), detail.state
        try:
            with make_view(detail.created_at, stream) as view:
                view.show(progress_from(spec, detail.progress))

                def lost(error: BandstandError) -> None:
                    view.say(f"{error}; trying again")

                for event in follow_events(
                    self._connection, self._path("events"), ended="ended", patience_seconds=_AWAY_SECONDS, lost=lost
                ):
                    if event.kind == "progress":
                        progress = progress_from(spec, event.content)
                        state = StudyState(progress.state)
                        view.show(progress)
                    elif event.kind == "ended":
                        state = record_from(StudyEnd, event.content).state
        except KeyboardInterrupt:
            print(f"{self.name} goes on at {self._connection.url}; it is only watched no more", file=sys.stderr)
        return state

    # -- asking -----------------------------------------------------------------------------------------------------

    def extend(self, budget: Budget | Mapping[str, float]) -> None:
        """Let it spend more; one that has finished goes on, one that was stopped waits until it is resumed.

        Args:
            budget: new totals of what is limited: epochs, trials, wall_seconds, gpu_hours.
        """
        limits = budget.model_dump(exclude_none=True) if isinstance(budget, Budget) else dict(budget)
        self._connection.post(self._path("extend"), {"budget": limits})

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Have it try these params next."""
        self._connection.post(self._path("enqueue"), {"params": dict(params)})
