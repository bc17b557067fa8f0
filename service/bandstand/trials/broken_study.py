"""Tells a broken study from one with some bad trials."""

from __future__ import annotations

from collections.abc import Iterable

from bandstand.trials.events import Ended, TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS, REMEDIES

__all__ = ["HOPELESS", "PARENT_CHECKPOINT", "FailureWatch", "is_own_failure"]

SAME_FAILURES = 3
"""Equal failures, and nothing else, after which a study is broken."""
SAME_DIVERGENCES = 10
"""The same for diverged trials, and for those that ran out of memory or time: a wide range of learning rates or of
sizes may well begin with a few."""
HOPELESS = "other_shape"
"""The kind of a failure that every child would meet: a parameter changes that decides the model's shape."""
PARENT_CHECKPOINT = "parent_checkpoint"
"""The kind of a failure that says nothing of the trial: it could not begin, for its parent's checkpoint is lost."""
_PATIENCE = 3
"""Times as many failures, while trials are under way that may yet do better."""


def is_own_failure(ended: Ended) -> bool:
    """Whether a trial ended because its training failed, and not for want of budget or of its parent's checkpoint."""
    return ended.state is TrialState.FAILED and ended.reason not in ("budget", PARENT_CHECKPOINT)


class FailureWatch:
    """Watches whether all trials so far failed for the same reason, or one did for a reason that all will."""

    def __init__(self) -> None:
        self._signature: str | None = None
        self._message: str | None = None
        self._count = 0
        self._mixed = False
        self._reached = 0
        self._hopeless: str | None = None

    def note(self, ended: Ended, epochs: int) -> None:
        """A trial has ended after so many epochs."""
        failed = is_own_failure(ended)
        if failed and ended.reason == HOPELESS:
            self._hopeless = ended.message
        if not failed or (self._count and ended.signature != self._signature):
            self._mixed = True
        self._signature, self._message = ended.signature, ended.message
        self._reached = max(self._reached, epochs)
        self._count += 1

    def verdict(self, under_way: Iterable[int]) -> str | None:
        """Why the study should stop; None where it need not.

        Args:
            under_way: the epochs that each running trial has. One that is past where the others failed shows that the
                study works; one that has not got there yet is given some time, for failing is quicker than training.
        """
        if self._hopeless:
            return self._hopeless
        if self._mixed or not self._count:
            return None
        limit = SAME_DIVERGENCES if self._signature in FAILURE_KINDS else SAME_FAILURES
        if self._signature == "missing_metric":
            limit = 1
        epochs = list(under_way)
        if self._count < limit or any(number > self._reached for number in epochs):
            return None
        if self._count == 1:
            return f"its first trial failed: {self._message}"
        if epochs and self._count < limit * _PATIENCE:
            return None
        remedy = REMEDIES.get(self._signature or "")
        way_out = f": {remedy}" if remedy else ""
        return f"each of its first {self._count} trials failed the same way: {self._message}{way_out}"
