"""What one simulated study came to.

Knows numbers that tables and figures are made of. Must not know how they came about, nor how they are shown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

from bandstand.study.study_spec import StudySpec

__all__ = ["Improvement", "SimulationResult"]


@dataclass(frozen=True, slots=True)
class Improvement:
    """A measured value that is better than all before it."""

    epochs: int
    """Epochs that the study had trained with it."""
    seconds: float
    """Virtual time."""
    value: float
    trial: int


@dataclass(frozen=True, kw_only=True)
class SimulationResult:
    """One simulated study. Times are virtual, but for `decision_seconds`; shares are of all workers' time."""

    spec: StudySpec
    improvements: tuple[Improvement, ...]
    """Of any trial at any epoch, whatever became of it later."""
    chosen_value: float
    """The value of the study's best trial, by the rule of `bandstand.trials.best`; NaN if there is none."""
    reason: str | None
    """Why the study ended; None if it has not."""
    failed: bool
    epochs: int
    """Epochs recorded: what counts against the budget."""
    epochs_again: int
    """Epochs trained once more because a worker had died."""
    failed_epochs: int
    """Epochs of trials that ran out of memory, diverged or were too slow, those in which they failed included."""
    trials: int
    children: int
    """Trials that went on from another's checkpoint, with params of their own."""
    scheduled: int
    """Trials whose learning rate the strategy set anew in each epoch."""
    states: dict[str, int]
    """Trials by end: complete, pruned, failed."""
    reasons: dict[str, int]
    """Trials by end, in words: `complete (max_epochs)`, `pruned`, `failed (diverged)`."""
    trial_epochs: tuple[int, ...]
    """Epochs that each trial trained itself."""
    from_epochs: tuple[int, ...]
    """After which epoch of its lineage each trial began: that of its parent's checkpoint, 0 with fresh weights."""
    seconds: float
    """When the last worker was done."""
    trained_seconds: float
    """Worker time in which an epoch was trained, of use or not."""
    starting_seconds: float
    """Worker time before being up."""
    wasted_seconds: float
    """The part of `trained_seconds` that a death made void."""
    deaths: int
    decisions: int
    """Questions put to the search: reports, and requests for work."""
    decision_seconds: float
    """Real time that they took all together; 0 without a stopwatch."""
    workers: int

    @property
    def worker_seconds(self) -> float:
        """All workers' time, from the beginning until the last one was done."""
        return self.workers * self.seconds

    @property
    def idle_share(self) -> float:
        """The share of time in which a worker was up and had nothing to train; 0 for a study that took no time."""
        idle = self.worker_seconds - self.trained_seconds - self.starting_seconds
        return max(0.0, idle / self.worker_seconds) if self.worker_seconds else 0.0

    @property
    def best_value(self) -> float:
        """The best value measured, NaN if there is none."""
        return self.improvements[-1].value if self.improvements else nan

    def best_at(self, *, epochs: int | None = None, seconds: float | None = None) -> float:
        """The best value measured after so many epochs, or so much virtual time; NaN before the first."""
        if seconds is not None:
            index = bisect_right([step.seconds for step in self.improvements], seconds)
        else:
            index = bisect_right([step.epochs for step in self.improvements], self.epochs if epochs is None else epochs)
        return self.improvements[index - 1].value if index else nan

    def reached(self, epoch: int) -> int:
        """Trials that trained this epoch, counted along their lineages: a child's first is the one after its parent's.

        An epoch that two children of one parent trained counts twice: it was trained twice.
        """
        return sum(first < epoch <= last for first, last in self._stretches())

    def epochs_between(self, after: int, until: int) -> int:
        """Epochs trained that were later than epoch `after` and not later than epoch `until` of a trial's lineage."""
        return sum(max(0, min(last, until) - max(first, after)) for first, last in self._stretches())

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """After which epoch each trial began, and its last."""
        for first, epochs in zip(self.from_epochs, self.trial_epochs, strict=True):
            yield first, first + epochs
