"""A comparison on a server, as its user holds it.

Knows what may be asked of a comparison. Must not know how requests travel.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from bandstand.client.answers import spec_from
from bandstand.client.connection import path_of
from bandstand.client.submission import ENDED, POLL_SECONDS, RemoteSubmission
from bandstand.study.study import StudySpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RemoteComparison"]


class RemoteComparison(RemoteSubmission):
    """A comparison on a server; errors as of `RemoteSubmission`."""

    kind = "comparison"
    _resource = "comparisons"

    def detail(self) -> dict[str, Any]:
        """All that the server tells of it in one answer, as it tells it: spec, strategies, studies, runs, …"""
        answer: dict[str, Any] = self._connection.get(path_of("comparisons", self.name))
        return answer

    @property
    def state(self) -> str:
        """queued, running, stopping, finished, stopped or failed."""
        return _state_of(self.detail())

    @property
    def spec(self) -> StudySpec:
        """What all of its studies share."""
        return spec_from(self.detail()["spec"])

    def studies(self) -> pd.DataFrame:
        """A row per study: strategy, repeat, name, state, trials, epochs, best_value, …"""
        import pandas as pd

        rows = [
            {"strategy": one["strategy"], "repeat": one["repeat"], "name": one["name"], **(one["study"] or {})}
            for one in self.detail()["studies"]
        ]
        return pd.DataFrame(rows)

    def watch(self, stream: TextIO | None = None) -> str:
        """Show how many of its studies have ended, until all have. Ctrl-C ends the watching, not the comparison.

        Args:
            stream: where to show it; standard output when left out.

        Returns:
            Its state: finished, stopped or failed; another one after Ctrl-C.
        """
        told, state = "", ""
        try:
            while state not in ENDED:
                detail = self.detail()
                state, line = _state_of(detail), _line_from(detail)
                if line != told:
                    print(line, file=stream or sys.stdout, flush=True)
                    told = line
                if state not in ENDED:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            print(f"{self.name} goes on at {self._connection.url}; it is only watched no more", file=sys.stderr)
        return state


def _state_of(detail: dict[str, Any]) -> str:
    submission = detail["submission"]
    if submission is not None:
        return str(submission["outcome"] if submission["state"] == "ended" else submission["state"])
    states = {one["study"]["state"] if one["study"] else "queued" for one in detail["studies"]}
    return "finished" if states == {"finished"} else "stopped"


def _line_from(detail: dict[str, Any]) -> str:
    studies = [one["study"] for one in detail["studies"] if one["study"]]
    done = sum(study["state"] == "finished" for study in studies)
    running = [study["name"] for study in studies if study["state"] == "running"]
    now = f", now {running[0]}" if running else ""
    return f"{detail['name']}: {_state_of(detail)}, {done} of {len(detail['studies'])} studies{now}"
