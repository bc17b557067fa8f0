"""Tells a broken study from one with some bad trials."""

from __future__ import annotations

from service.events import Ended, TrialState

__all__ = ["FailureWatch"]

SAME_FAILURES = 3
"""Equal failures, and nothing else, after which a study is broken."""
SAME_DIVERGENCES = 10
"""The same for diverged trials: a wide range of learning rates may well begin with a few."""


class FailureWatch:
    """Watches whether every trial that has ended so far failed for one and the same reason."""

    def __init__(self) -> None:
        self._signature: str | None = None
        self._message = ""
        self._count = 0
        self._mixed = False

    def note(self, ended: Ended) -> None:
        """A trial has ended."""
        failed = ended.state is TrialState.FAILED and ended.reason != "budget"
        if not failed or (self._count and ended.signature != self._signature):
            self._mixed = True
        self._signature, self._message = ended.signature, ended.message
        self._count += 1

    @property
    def verdict(self) -> str:
        """Why the study should stop, or an empty string."""
        if self._mixed or not self._count:
            return ""
        limit = {"missing_metric": 1, "diverged": SAME_DIVERGENCES}.get(self._signature or "", SAME_FAILURES)
        if self._count < limit:
            return ""
        if self._count == 1:
            return f"its first trial failed: {self._message}"
        return f"each of its first {self._count} trials failed the same way: {self._message}"
