"""Trials that pause: given back when their checkpoint is durable, not before.

Knows both halves of a pause, the trainer's outcome and the file that is being written, in whichever order they come.
"""

from __future__ import annotations

from bandstand.search.search import Search

__all__ = ["Pauses"]


class Pauses:
    """The pauses under way in one study."""

    def __init__(self, search: Search):
        self._search = search
        self._waiting: dict[tuple[int, int], tuple[str, int]] = {}  # trial, attempt -> trainer, epoch
        self._failed: dict[tuple[int, int, int], str] = {}

    def wanted(self, trainer: str, trial: int, attempt: int, epoch: int) -> None:
        """The trainer has stopped training at this epoch.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        error = self._failed.pop((trial, attempt, epoch), None)
        if error is not None:
            self._fail(trial, attempt, error)
        elif self._search.history.trials[trial].checkpoint_epoch >= epoch:
            self._search.paused(trial, attempt)
        else:
            self._waiting[trial, attempt] = trainer, epoch

    def written(self, trial: int, attempt: int, epoch: int, error: str | None) -> None:
        """The checkpoint of this epoch is durable, or could not be written: `error` says why.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        _, awaited = self._waiting.get((trial, attempt), (None, None))
        if awaited != epoch:
            if error is not None:
                self._failed[trial, attempt, epoch] = error
            return
        del self._waiting[trial, attempt]
        if error is not None:
            self._fail(trial, attempt, error)
        else:
            self._search.paused(trial, attempt)

    def under_way(self, trainer: str) -> bool:
        """Whether a trainer is still writing a checkpoint that a pause waits for."""
        return any(name == trainer for name, _ in self._waiting.values())

    def abandon(self, trainer: str, reason: str) -> None:
        """The trainer is gone, and what it has not written with it."""
        for (trial, attempt), (name, _) in list(self._waiting.items()):
            if name == trainer:
                del self._waiting[trial, attempt]
                self._search.lost(trial, attempt, reason, blamed=False)

    def _fail(self, trial: int, attempt: int, error: str) -> None:
        message = f"it was about to pause, but its checkpoint could not be written: {error}"
        self._search.fail(trial, attempt, "checkpoint", message, signature="checkpoint")
