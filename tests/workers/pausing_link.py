"""A training's link to a made-up coordinator, which has it train until an epoch and stop or pause there."""

from __future__ import annotations

from bandstand.search.protocol import Measurement, Verdict
from bandstand.trials.events import Action

__all__ = ["PausingLink"]


class PausingLink:
    """Answers every report with CONTINUE until an epoch; notes what was reported, and the last checkpoint's place."""

    def __init__(self, until: int, pauses: bool = False) -> None:
        self.epochs: list[dict[str, float]] = []
        self._until, self._pauses = until, pauses
        self.checkpoint = ""

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        self.epochs.append(dict(measurement.metrics))
        if measurement.epoch < self._until:
            return Verdict(action=Action.CONTINUE, until_epoch=self._until)
        return Verdict(action=Action.PAUSE if self._pauses else Action.STOP, until_epoch=self._until)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        assert not error
        self.checkpoint = uri
