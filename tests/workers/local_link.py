"""A training's link to a Search in the same process."""

from __future__ import annotations

from queue import SimpleQueue

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.search.search import Search
from bandstand_workers.messages import TrialUnwantedError

__all__ = ["LocalLink"]


class LocalLink:
    """Reports to a Search in this process; `dies_after` makes it vanish as a killed worker would."""

    def __init__(self, search: Search, assignment: Assignment, dies_after: int | None = None):
        self.search = search
        self.assignment = assignment
        self.dies_after = dies_after
        self.checkpoints: dict[int, str] = {}
        self._written: SimpleQueue[tuple[int, str]] = SimpleQueue()

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict | None:
        self.take_checkpoints()
        verdict = self.search.report(self.assignment.trial, self.assignment.attempt, measurement)
        if measurement.epoch == self.dies_after:
            raise TrialUnwantedError("killed")
        return verdict

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        assert not error
        self._written.put((epoch, uri))

    def take_checkpoints(self) -> None:
        """Tell Search what was written, in its own thread."""
        while not self._written.empty():
            epoch, uri = self._written.get()
            self.search.checkpointed(self.assignment.trial, self.assignment.attempt, epoch, uri)
            self.checkpoints[epoch] = uri
