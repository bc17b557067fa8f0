"""Search: what a study's shells call.

It takes what happened (`report`, `checkpointed`, `finish`, `fail`, `lost`, `spend`, `stop`) and says what to do next
(`next`, and the answer of `report`). Every change of state is an event that is applied; the events not yet stored are
handed over by `take_events`. A Search given the stored events back (`Search.restore`) stands where the lost one stood
and decides what it would have decided.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from bandstand.problem.problem import Problem
from bandstand.search.allocation import Allocation
from bandstand.search.endings import Endings
from bandstand.search.granting import Granting
from bandstand.search.judging import Judging
from bandstand.search.one_code import OneCode
from bandstand.search.one_data_set import OneDataSet
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.search.setbacks import Setbacks
from bandstand.search.state import SearchState
from bandstand.search.wanted_models import WantedModels
from bandstand.strategies import Strategy
from bandstand.trials.events import (
    Action,
    Checkpointed,
    Event,
    Noticed,
    Paused,
    Reopened,
    Spent,
    StudyEnded,
)

__all__ = ["Search"]


class Search:
    """All decisions of one study, made on its `history`.

    A trial is proposed, started by an attempt, measured once per epoch, decided at the epochs where it asks, and ended
    exactly once. Epochs trained again after a loss are answered from what is recorded and count once.

    Attributes:
        spec: the problem of the study.
        history: the trials as the events so far have left them.
        strategy: the study's policy.
        allocation: giving out work; for whoever directs a study from outside.
        requests: what users ask of the study.
        data: whether all trainers have the same.
        code: whether it is still the one that the study began with.
        models: which checkpoints must stay, and what the study's model is made of.
    """

    def __init__(self, spec: Problem, strategy: Strategy | None = None):
        self._state = SearchState(spec, strategy)
        self.spec = spec
        self.history = self._state.history
        self.strategy = self._state.strategy
        self._endings = Endings(self._state)
        self._judging = Judging(self._state)
        self._setbacks = Setbacks(self._state, self._endings)
        self.allocation = Allocation(self._state, self._endings)
        self.requests = Granting(self._state)
        self.data = OneDataSet(self._state)
        self.code = OneCode(self._state)
        self.models = WantedModels(self._state)

    @classmethod
    def restore(cls, spec: Problem, events: Iterable[Event], strategy: Strategy | None = None) -> Search:
        """The Search that these stored events lead to. Trials that were running still are: call `lost` on each."""
        search = cls(spec, strategy)
        for event in events:
            search._state.apply(event)
        return search

    # -- what to do next --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Record what the user should know before the first trial. Once per study."""
        for message in [*self.spec.notices(), *self.strategy.notices()]:
            self._state.record(Noticed(message=message))

    def reopen(self) -> None:
        """Let a study that failed go on, with what is left of its budget."""
        if self.history.ended is not None:
            self._state.record(Reopened())

    def note(self, message: str) -> None:
        """Tell the user something about how the study was run; what was told already is not told again."""
        self._state.note(message)

    def next(self, preferred: Container[int] = (), worker: str | None = None) -> Assignment | None:
        """What a free worker should train now, or None: nothing at present, or nothing more (see `done`).

        Args:
            preferred: waiting trials that this worker would rather have than others; no wish keeps it idle.
            worker: its name, for the record; no decision depends on it.
        """
        return self.allocation.next(preferred, worker)

    def look_ahead(self, number: int) -> None:
        """Have up to `number` trials wait, so that workers may choose among them (`preferred`).

        New trials are proposed only where nothing is lost by it: the strategy would propose the same later, and the
        budget is neither time nor nearly used.
        """
        self.allocation.look_ahead(number)

    @property
    def done(self) -> bool:
        """Whether no worker is busy and none will be needed, as far as the last `next` could tell."""
        return self._endings.done

    # -- what happened ----------------------------------------------------------------------------------------------

    def report(self, trial_number: int, attempt: int, measurement: Measurement) -> Verdict:
        """An epoch has ended.

        Args:
            trial_number: the trial.
            attempt: which attempt of it speaks.
            measurement: of the epoch. Epochs come in order; those recorded by an earlier attempt may come again.

        Raises:
            StaleAttemptError: another attempt has the trial now.
            ValueError: an epoch was skipped.
        """
        return self._judging.report(trial_number, attempt, measurement)

    def checkpointed(self, trial_number: int, attempt: int, epoch: int, uri: str) -> None:
        """A durable checkpoint of the trial exists at this epoch.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        trial = self._state.current(trial_number, attempt)
        if epoch > trial.checkpoint_epoch:
            self._state.record(Checkpointed(trial=trial_number, attempt=attempt, epoch=epoch, uri=uri))

    def finish(self, trial_number: int, attempt: int, reason: str = "early_stopping") -> None:
        """The worker is done with a trial.

        Args:
            trial_number: the trial.
            attempt: which attempt of it speaks.
            reason: why it ended where it was not told to stop, such as `budget` at a deadline.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        trial = self._state.current(trial_number, attempt)
        if trial.action is Action.STOP:
            self._endings.end_as_decided(trial)
        else:
            self._endings.end_unjudged(trial, reason)

    def paused(self, trial_number: int, attempt: int) -> None:
        """The worker gave the trial back; it goes on from its checkpoint when it is given out again.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        self._state.current(trial_number, attempt)
        self._state.record(Paused(trial=trial_number, attempt=attempt))

    def fail(
        self,
        trial_number: int,
        attempt: int,
        kind: str,
        message: str,
        *,
        signature: str | None = None,
        detail: str | None = None,
    ) -> None:
        """The training raised.

        Args:
            trial_number: the trial.
            attempt: which attempt of it speaks.
            kind: a word, such as exception or out_of_memory.
            message: one line for people.
            signature: equal for failures that have the same cause, such as the place of the exception.
            detail: the traceback.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        self._setbacks.fail(trial_number, attempt, kind, message, signature=signature, detail=detail)

    def lost(
        self, trial_number: int, attempt: int, reason: str, *, blamed: bool = True, kind: str = "worker_died"
    ) -> None:
        """The worker died under the trial. It is begun again from its checkpoint, up to `max_attempts` times.

        Args:
            trial_number: the trial.
            attempt: which attempt was under way; word of an older one is ignored.
            reason: what is known of the death.
            blamed: False when the trial surely had no part in it, as when the coordinator died.
            kind: a word for it, with which the trial ends if it is not begun again.
        """
        self._setbacks.lost(trial_number, attempt, reason, blamed=blamed, kind=kind)

    def refuse_checkpoint(self, trial_number: int, attempt: int, reason: str) -> str:
        """The checkpoint that an attempt was to begin from cannot be used; nothing was trained by it.

        A trial whose own checkpoint it was begins again from where it first began, up to `max_attempts` times. A child
        whose parent's it was ends, so that the strategy may choose another parent: params and lineage of a trial never
        change.

        Args:
            trial_number: the trial that was to begin from it.
            attempt: which attempt of it speaks.
            reason: what is wrong with the checkpoint.

        Returns:
            What follows, for people.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        return self._setbacks.refuse_checkpoint(trial_number, attempt, reason)

    def spend(self, *, wall_seconds: float, gpu_seconds: float = 0.0) -> None:
        """Time has passed since the last call."""
        self._state.record(Spent(wall_seconds=wall_seconds, gpu_seconds=gpu_seconds))

    def stop(self) -> None:
        """Give out nothing more; trials under way pause at their next report. Not stored: the study can go on later."""
        self._state.stopping = True

    def conclude(self) -> StudyEnded | None:
        """End the study if it is done and nobody stopped it. Trials that still wait end with the budget."""
        return self._endings.conclude()

    def take_events(self) -> list[Event]:
        """The events since the last call, oldest first. Store them before anyone is told what they led to."""
        return self._state.take_events()
