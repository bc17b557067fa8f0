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
    """A study on a server. `Client.submit` and `Client.study` return one."""

    # -- looking ----------------------------------------------------------------------------------------------------

    def detail(self) -> dict[str, Any]:
        """Get the study as the server describes it: spec, progress, submission, runs."""
        return self._connection.get(self._path())

    @property
    def state(self) -> str:
        """The state: queued, running, interrupted, stopped, finished or failed."""
        return self._look().state

    @property
    def spec(self) -> StudySpec:
        """The settings of the study."""
        return spec_from(self._look().spec)

    @property
    def progress(self) -> StudyProgress:
        """The progress of the study."""
        detail = self._look()
        return progress_from(spec_from(detail.spec), detail.progress)

    @property
    def best(self) -> Best:
        """The best trial so far.

        Raises:
            StudyNotFoundError: the study does not exist, or no trial has a value yet.
        """
        answer = self._connection.get(self._path("best"))
        return record_from(Best, answer)

    def trials(self) -> pd.DataFrame:
        """Get all trials, one row each: number, state, reason, value, best_epoch, epochs, seconds, …, params_<name>."""
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
        """Get all trials as dicts, by their numbers, page by page."""
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
        """Show the progress until the study ends. Ctrl-C stops the watching, not the study.

        If the connection is lost, this waits for the server for up to half an hour.

        Args:
            stream: where to show the progress. Default: standard output.

        Returns:
            The state: finished, stopped or failed. After Ctrl-C it is another one.
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
            print(f"stopped watching; {self.name} goes on at {self._connection.url}", file=sys.stderr)
        return state

    # -- asking -----------------------------------------------------------------------------------------------------

    def extend(self, budget: Budget | Mapping[str, float]) -> None:
        """Raise the budget. A finished study continues. A stopped one waits until it is resumed.

        Args:
            budget: new totals of limits that the study has: epochs, trials, wall_seconds, gpu_hours.

        Raises:
            InputError: the study has no such limit, or the new total is not higher.
        """
        limits = budget.model_dump(exclude_none=True) if isinstance(budget, Budget) else dict(budget)
        self._connection.post(self._path("extend"), {"budget": limits})

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Add a trial with these params. It is trained next, within the budget.

        Args:
            params: a value for each parameter of the study's space.

        Raises:
            InputError: the params are not a point of the space, or the strategy takes no trials from users.
        """
        self._connection.post(self._path("enqueue"), {"params": dict(params)})
