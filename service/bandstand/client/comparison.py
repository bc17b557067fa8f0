"""A comparison on a server, as its user holds it.

Knows what may be asked of a comparison. Must not know how requests travel.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from bandstand.client.answers import ComparisonDetail, record_from, spec_from
from bandstand.client.connection import path_of
from bandstand.client.submission import ENDED, POLL_SECONDS, RemoteSubmission
from bandstand.report.text import counted
from bandstand.study.states import StudyState
from bandstand.study.study_spec import StudySpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RemoteComparison"]


class RemoteComparison(RemoteSubmission):
    """A comparison on a server. `Client.compare` and `Client.comparison` return one."""

    kind = "comparison"
    _resource = "comparisons"

    def detail(self) -> dict[str, Any]:
        """Get the comparison as the server describes it: spec, strategies, studies, runs, …"""
        return self._connection.get(path_of("comparisons", self.name))

    @property
    def state(self) -> str:
        """The state: queued, running, stopping, finished, stopped or failed."""
        return self._look().state

    @property
    def spec(self) -> StudySpec:
        """The settings that all of its studies share."""
        return spec_from(self._look().spec)

    def studies(self) -> pd.DataFrame:
        """Get all studies, one row each: strategy, repeat, name, state, trials, epochs, best_value, …"""
        import pandas as pd

        rows = [
            {"strategy": one["strategy"], "repeat": one["repeat"], "name": one["name"], **(one["study"] or {})}
            for one in self.detail()["studies"]
        ]
        return pd.DataFrame(rows)

    def watch(self, stream: TextIO | None = None) -> str:
        """Show how many studies have finished, until the comparison ends. Ctrl-C stops the watching, not the studies.

        Args:
            stream: where to show the progress. Default: standard output.

        Returns:
            The state: finished, stopped or failed. After Ctrl-C it is another one.
        """
        told: str | None = None
        detail = self._look()
        try:
            while True:
                line = _line_from(detail)
                if line != told:
                    print(line, file=stream or sys.stdout, flush=True)
                    told = line
                if detail.state in ENDED:
                    break
                time.sleep(POLL_SECONDS)
                detail = self._look()
        except KeyboardInterrupt:
            print(f"stopped watching; {self.name} goes on at {self._connection.url}", file=sys.stderr)
        return detail.state

    def _look(self) -> ComparisonDetail:
        return record_from(ComparisonDetail, self.detail())


def _line_from(detail: ComparisonDetail) -> str:
    studies = [one.study for one in detail.studies if one.study is not None]
    done = sum(study.state is StudyState.FINISHED for study in studies)
    running = [study.name for study in studies if study.state is StudyState.RUNNING]
    now = f", now {running[0]}" if running else ""
    return f"{detail.name}: {detail.state}, {done} of {counted(len(detail.studies), 'study', 'studies')} finished{now}"
