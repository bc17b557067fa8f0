"""The facts of a study: its trials as the events so far have left them.

Knows what happened. Must not know any policy, nor where events are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from bandstand.problem.problem import Problem
from bandstand.trials.best import RankKey, epoch_counts, rank_key_of
from bandstand.trials.broken_study import FailureWatch
from bandstand.trials.code_fingerprint import CodePrint
from bandstand.trials.events import (
    STUDY_EVENTS,
    Action,
    Checkpointed,
    CheckpointRefused,
    CodeSeen,
    Combined,
    DataSeen,
    Decided,
    Ended,
    Enqueued,
    Event,
    Extended,
    Lost,
    Measured,
    Noticed,
    Paused,
    Promoted,
    Proposed,
    Reopened,
    Spent,
    Started,
    StudyEnded,
    StudyEvent,
    TrialState,
)
from bandstand.trials.ledger import Ledger, takes_a_trial

__all__ = ["FAULTS", "History", "Trial"]

FAULTS = ("diverged", "missing_metric")
"""Reasons to stop with which a trial fails."""


@dataclass(kw_only=True, slots=True)
class Trial:
    """One trial's facts so far. Everybody may read it; only History writes it."""

    number: int
    params: Mapping[str, Any]
    bracket: int
    granted: int
    """The epoch up to which it may train before it must ask."""
    parent: int | None = None
    from_epoch: int = 0
    """The epoch of the parent's checkpoint that it began from; 0: fresh weights. Its own epochs come after it."""
    weights: str = "last"
    learning_rates: tuple[float, ...] = ()
    origin: str | None = None
    request: int | None = None
    """The request that asked for it, where it was not the strategy's idea."""
    state: TrialState = TrialState.WAITING
    attempt: int = 0
    lost: int = 0
    """Deaths of a worker that are counted against this trial."""
    refused: int = 0
    """Checkpoints of its own that could not be used when it, or a child, was to go on from them."""
    values: list[float] = field(default_factory=list)
    """The objective after each of its own epochs; see `value_at`. NaN where an epoch did not report it."""
    best_epoch: int = 0
    """The epoch of the best finite value, 0 before there is one."""
    checkpoint_epoch: int = 0
    """Of the latest checkpoint that it can go on from; its parent's while it has none of its own."""
    completes: bool = False
    """Of the last decision, if that was STOP: it ends as one that was not judged worse."""
    action: Action | None = None
    """The last decision of the current attempt; STOP stays."""
    reason: str | None = None
    """Of the last decision, then of the final state."""
    message: str | None = None
    """What went wrong, for people."""

    @property
    def epochs(self) -> int:
        """The latest epoch recorded, counted along its lineage."""
        return self.from_epoch + len(self.values)

    @property
    def booked(self) -> int:
        """Epochs this trial takes from the budget: those recorded and, while it lives, those granted."""
        return (self.epochs if self.state.is_final else max(self.granted, self.epochs)) - self.from_epoch

    @property
    def ends_as(self) -> TrialState:
        """The final state that the last decision means, if that was STOP."""
        if self.reason in FAULTS:
            return TrialState.FAILED
        return TrialState.COMPLETE if self.completes else TrialState.PRUNED

    @property
    def has_own_checkpoint(self) -> bool:
        """Whether it can go on without its parent's."""
        return self.checkpoint_epoch > self.from_epoch

    def value_at(self, epoch: int) -> float:
        """The objective after one of its own epochs, `from_epoch` + 1 to `epochs`."""
        return self.values[epoch - self.from_epoch - 1]


class History:
    """All facts of one study, brought up to date by `apply` and nothing else."""

    def __init__(self, spec: Problem):
        self.spec = spec
        self.trials: list[Trial] = []
        self.waiting: dict[int, None] = {}
        """Trials that want a worker, in the order in which they began to (a dict for its order)."""
        self.running: dict[int, None] = {}
        """Trials that a worker has, in the order in which they were given out."""
        self.paused: dict[int, None] = {}
        """Trials that go on only if they are promoted, in the order in which they paused."""
        self.children: dict[int, list[int]] = {}
        """Trials by their parent."""
        self.ledger = Ledger(spec.budget, spec.max_epochs)
        self.failures = FailureWatch()
        self.ended: StudyEnded | None = None
        self.combined: Combined | None = None
        """What came of a combined model, where the study asked for one and has ended with the best trial there is."""
        self.data: Mapping[str, Any] | None = None
        """The fingerprint of the data that the study trains on, a `DataPrint`; None before a trainer has loaded any."""
        self.code: CodePrint | None = None
        """The fingerprint of the code that trains; None where none is known."""
        self.notices: set[str] = set()
        """What users have been told of how the study was run."""
        self.requests: set[int] = set()
        """What users have asked for and was granted."""
        self.enqueued: dict[int, Enqueued] = {}
        """By request, what users want trained and is not yet a trial, in the order in which they asked."""
        self.has_result = False
        """Whether a trial has ended with a value and without failing."""
        self._best: RankKey | None = None
        self._best_ended: RankKey | None = None

    @property
    def best(self) -> Trial | None:
        """The best trial so far, by the rule of `bandstand.trials.best`; it need not have ended."""
        return None if self._best is None else self.trials[self._best.number]

    @property
    def best_ended(self) -> Trial | None:
        """The best of the trials that have ended, whose model is kept; `best` once all have."""
        return None if self._best_ended is None else self.trials[self._best_ended.number]

    @property
    def fault(self) -> str | None:
        """Why the study is broken, if it is: its trials fail one like the other."""
        return self.failures.verdict(self.trials[number].epochs for number in self.running)

    def value_of(self, trial: Trial) -> float:
        """A trial's result so far: its best or its last epoch's value, as the study asks. NaN if it has none."""
        epoch = self.result_epoch(trial)
        return trial.value_at(epoch) if epoch else nan

    def result_epoch(self, trial: Trial) -> int:
        """The epoch of a trial's result so far, whose weights its model has; 0 before there is one."""
        return trial.epochs if trial.best_epoch and self.spec.objective.epoch == "last" else trial.best_epoch

    def would_be_best(self, trial: Trial, state: TrialState) -> bool:
        """Whether the trial, ended in this state, would be the best of those that have ended: its model is wanted."""
        place = self._place(trial, state)
        return place is not None and (self._best_ended is None or place <= self._best_ended)

    def _place(self, trial: Trial, state: TrialState) -> RankKey | None:
        return rank_key_of(self.spec.objective, state, self.value_of(trial), trial.number)

    def apply(self, event: Event) -> Trial | None:
        """Take an event into account; returns the trial it is about."""
        if isinstance(event, Measured):  # first, because most events are
            return self._measure(event)
        if isinstance(event, STUDY_EVENTS):
            self._apply_to_study(event)
            return None
        if isinstance(event, Proposed):
            return self._add(event)
        trial = self.trials[event.trial]
        booked = trial.booked
        self._apply_to_trial(event, trial)
        self.ledger.booked_epochs += trial.booked - booked
        return trial

    def _add(self, event: Proposed) -> Trial:
        trial = Trial(
            number=event.trial,
            params=event.params,
            bracket=event.bracket,
            granted=event.granted,
            parent=event.parent,
            from_epoch=event.from_epoch,
            weights=event.weights,
            learning_rates=tuple(event.learning_rates),
            origin=event.origin,
            request=event.request,
            checkpoint_epoch=event.from_epoch,
        )
        self.trials.append(trial)
        if event.request is not None:
            self.enqueued.pop(event.request, None)
        self.waiting[trial.number] = None
        self.ledger.trials += takes_a_trial(trial.parent)
        if trial.parent is not None:
            self.children.setdefault(trial.parent, []).append(trial.number)
        self.ledger.booked_epochs += trial.booked
        return trial

    def _apply_to_study(self, event: StudyEvent) -> None:
        if isinstance(event, Spent):
            self.ledger.wall_seconds += event.wall_seconds
            self.ledger.gpu_seconds += event.gpu_seconds
        elif isinstance(event, Noticed):
            self.notices.add(event.message)
        elif isinstance(event, DataSeen):
            self.data = event.splits
        elif isinstance(event, CodeSeen):
            self.code = CodePrint(python=event.python, parts=event.parts)
        elif isinstance(event, Combined):
            self.combined = event
        elif isinstance(event, StudyEnded):
            self.ended = event
        elif isinstance(event, Extended):
            self.requests.add(event.request)
            self.ledger.extend(event.budget)
        elif isinstance(event, Enqueued):
            self.requests.add(event.request)
            self.enqueued[event.request] = event
        elif isinstance(event, Reopened):
            self._reopen(event)

    def _reopen(self, event: Reopened) -> None:
        self.ended = None
        self.failures = FailureWatch()
        if event.forgotten:
            for trial in self.trials:
                trial.checkpoint_epoch = trial.from_epoch

    def _apply_to_trial(
        self,
        event: Promoted | Started | Checkpointed | CheckpointRefused | Decided | Paused | Lost | Ended,
        trial: Trial,
    ) -> None:
        match event:
            case Promoted():
                trial.granted = event.granted
                self._move(trial, TrialState.WAITING)
            case Started():
                self._move(trial, TrialState.RUNNING)
                trial.attempt = event.attempt
                if trial.action is Action.PAUSE:
                    trial.action = None
            case Checkpointed():
                trial.checkpoint_epoch = event.epoch
            case CheckpointRefused():
                if trial.has_own_checkpoint and trial.checkpoint_epoch == event.epoch:
                    trial.checkpoint_epoch = trial.from_epoch
                    trial.refused += 1
            case Decided():
                trial.action, trial.granted, trial.reason = event.action, event.granted, event.reason
                trial.completes = event.completes
            case Paused():
                self._give_back(trial)
            case Lost():
                trial.lost += event.blamed
                self._give_back(trial)
            case Ended():
                self._move(trial, event.state)
                trial.reason, trial.message = event.reason, event.message
                self.failures.note(event, trial.epochs)
                self._rank(trial)

    def _measure(self, event: Measured) -> Trial:
        trial, objective = self.trials[event.trial], self.spec.objective
        value = nan if event.value is None else event.value
        trial.values.append(value)
        self.ledger.epochs += 1
        ended = trial.state is not TrialState.RUNNING and trial.state.is_final
        if ended or len(trial.values) > trial.granted - trial.from_epoch:
            self.ledger.booked_epochs += 1  # it was not granted
        if epoch_counts(event.value, event.metrics) and (
            not trial.best_epoch or objective.is_better(value, trial.value_at(trial.best_epoch))
        ):
            trial.best_epoch = event.epoch
            if self._best is None or ended or objective.sign * value <= self._best.loss:  # else it changes nothing
                self._rank(trial)
        return trial

    def _give_back(self, trial: Trial) -> None:
        """The worker no longer has the trial. One that was to pause at a rung pauses, even if its worker died then."""
        at_rung = trial.action is Action.PAUSE and trial.granted <= trial.epochs
        self._move(trial, TrialState.PAUSED if at_rung else TrialState.WAITING)

    def _move(self, trial: Trial, state: TrialState) -> None:
        trial.state = state
        for group in (self.waiting, self.running, self.paused):
            group.pop(trial.number, None)
        if not state.is_final:
            groups = {TrialState.RUNNING: self.running, TrialState.PAUSED: self.paused}
            groups.get(state, self.waiting)[trial.number] = None

    def _rank(self, trial: Trial) -> None:
        """Take a trial's new value, or its end, into account; a value once seen is never taken back."""
        place = self._place(trial, trial.state)
        if place is None:
            return
        if self._best is None or place < self._best:
            if self._best is not None and self._best.number != place.number:
                self.combined = None  # it was made with the one that was best before
            self._best = place
        if trial.state.is_final and (self._best_ended is None or place < self._best_ended):
            self._best_ended = place
        if trial.state.is_result:
            self.has_result = True
