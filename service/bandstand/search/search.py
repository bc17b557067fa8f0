"""Search: what a study's shells call.

It takes what happened (`report`, `checkpointed`, `finish`, `fail`, `lost`, `spend`, `stop`) and says what to do next
(`next`, and the answer of `report`). Every change of state is an event that is applied; the events not yet stored are
handed over by `take_events`. A Search given the stored events back (`Search.restore`) stands where the lost one stood
and decides what it would have decided.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from bandstand.problem.budget import Budget
from bandstand.problem.problem import Problem
from bandstand.search.allocation import Allocation
from bandstand.search.endings import Endings
from bandstand.search.judging import Judging
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.search.requests import Requests
from bandstand.search.state import SearchState
from bandstand.strategies import Strategy
from bandstand.strategies.strategy import Step
from bandstand.trials.combination import Combination, sentence_on
from bandstand.trials.data_fingerprint import DataPrint, difference_between, refusal_of, words_on
from bandstand.trials.events import (
    Action,
    Checkpointed,
    CheckpointRefused,
    Combined,
    DataSeen,
    Event,
    Lost,
    Noticed,
    Paused,
    Reopened,
    Spent,
    StudyEnded,
    TrialState,
)
from bandstand.trials.failures import HOPELESS, PARENT_CHECKPOINT
from bandstand.trials.history import Trial

__all__ = ["Search"]


class Search:
    """All decisions of one study, made on its `history`.

    A trial is proposed, started by an attempt, measured once per epoch, decided at the epochs where it asks, and ended
    exactly once. Epochs trained again after a loss are answered from what is recorded and count once.
    """

    def __init__(self, spec: Problem, strategy: Strategy | None = None):
        self._state = SearchState(spec, strategy)
        self.spec = spec
        self.history = self._state.history
        self.strategy = self._state.strategy
        self._endings = Endings(self._state)
        self._allocation = Allocation(self._state, self._endings)
        self._judging = Judging(self._state)
        self._requests = Requests(self._state)

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
        if message not in self.history.notices:
            self._state.record(Noticed(message=message))

    def see_data(self, data: DataPrint) -> None:
        """These are the data that the study trains on; once in its life."""
        self._state.record(DataSeen(splits=data))

    def compare_data(self, data: DataPrint, *, may_differ: bool = False) -> str | None:
        """Hold a trainer's data against those that the study trains on. Differences of rounding are noted.

        Args:
            data: as the trainer has loaded them.
            may_differ: whether other data are taken, and noted.

        Returns:
            Why the trainer is to be given no work; None where it may.
        """
        assert self.history.data is not None, "see_data comes first"
        difference = difference_between(self.history.data, data)
        if difference.rounded:
            self.note(
                f"{words_on(difference.rounded)} between trainers by rounding alone, as may be between kinds of "
                "processors or versions"
            )
        if difference.other and may_differ:
            self.note(
                f"the trials did not all have the same data: {words_on(difference.other)} between a trainer and the "
                "study's first, and the study went on because of --data-may-differ; values of trials, and the test "
                "result, may not be comparable"
            )
        return refusal_of(difference) if difference.other and not may_differ else None

    def next(self, preferred: Container[int] = (), worker: str | None = None) -> Assignment | None:
        """What a free worker should train now, or None: nothing at present, or nothing more (see `done`).

        Args:
            preferred: waiting trials that this worker would rather have than others; no wish keeps it idle.
            worker: its name, for the record; no decision depends on it.
        """
        return self._allocation.next(preferred, worker)

    def look_ahead(self, number: int) -> None:
        """Have up to `number` trials wait, so that workers may choose among them (`preferred`).

        New trials are proposed only where nothing is lost by it: the strategy would propose the same later, and the
        budget is neither time nor nearly used.
        """
        self._allocation.look_ahead(number)

    def wanted(self) -> Step | None:
        """What the strategy would do for a free worker now, for whoever directs the study."""
        return self._allocation.wanted()

    def direct(self, step: Step) -> int | None:
        """Do what somebody outside has decided, for a strategy that leaves it to them.

        Args:
            step: about a trial that no worker has.

        Returns:
            The number of the trial it is about; None where nothing may be granted any more.
        """
        return self._allocation.direct(step)

    @property
    def done(self) -> bool:
        """Whether no worker is busy and none will be needed, as far as the last `next` could tell."""
        return self._endings.done

    # -- what users ask for -----------------------------------------------------------------------------------------

    def extend(self, request: int, wanted: Budget, by: str | None = None) -> str | None:
        """Raise what the study may spend; a finished one goes on. The strategy's spec stays as it was.

        Args:
            request: its number; the same one again changes nothing.
            wanted: new totals of limits that the study has.
            by: who asks.

        Returns:
            Why it is refused; None where it is granted.
        """
        return self._requests.extend(request, wanted, by)

    def enqueue(self, request: int, params: Mapping[str, Any], by: str | None = None) -> str | None:
        """Have these params tried before anything new that the strategy wants, as soon as the budget has room.

        Args and Returns: as `extend`; `params` are a point of the space.
        """
        return self._requests.enqueue(request, params, by)

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
        trial = self._state.current(trial_number, attempt)
        if kind == HOPELESS and trial.parent is not None:
            before = self.history.trials[trial.parent].params
            changed = [name for name, value in trial.params.items() if before.get(name) != value]
            message = f"{message}; here changed: {', '.join(changed)}"
        self._endings.end(trial, TrialState.FAILED, kind, message, signature=signature or kind, detail=detail)

    def lost(self, trial_number: int, attempt: int, reason: str, *, blamed: bool = True) -> None:
        """The worker died under the trial. It is begun again from its checkpoint, up to `max_attempts` times.

        Args:
            trial_number: the trial.
            attempt: which attempt was under way; word of an older one is ignored.
            reason: what is known of the death.
            blamed: False when the trial surely had no part in it, as when the coordinator died.
        """
        trial = self.history.trials[trial_number]
        if trial.state is not TrialState.RUNNING or trial.attempt != attempt:
            return
        self._state.record(Lost(trial=trial_number, attempt=attempt, reason=reason, blamed=blamed))
        if trial.action is Action.STOP and not self._is_wanted(trial):
            self._endings.end_as_decided(trial)
        elif trial.lost >= self.spec.max_attempts:
            message = f"its worker died {trial.lost} times; the last time: {reason}"
            self._endings.end(trial, TrialState.FAILED, "worker_died", message, signature="worker_died")

    def _is_wanted(self, trial: Trial) -> bool:
        """Whether more than its end is wanted of a trial that was told to stop, and whose worker then died: its model.

        Of one that was judged worse only where it is the best all the same, and not for ever.
        """
        if trial.completes:
            return True
        return trial.lost < self.spec.max_attempts and self.history.would_be_best(trial, trial.ends_as)

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
        trial = self._state.current(trial_number, attempt)
        is_own = trial.has_own_checkpoint
        source = trial_number if is_own or trial.parent is None else trial.parent
        self._state.record(CheckpointRefused(trial=source, epoch=trial.checkpoint_epoch, reason=reason))
        if trial.action is Action.STOP and not (is_own and self._is_wanted(trial)):
            self._endings.end_as_decided(trial)  # nothing more is wanted of it
            return f"trial {trial_number} had been told to stop, and ends"
        if not is_own:
            message = f"it could not begin from trial {source}: {reason}"
            self._endings.end(trial, TrialState.FAILED, PARENT_CHECKPOINT, message, signature=PARENT_CHECKPOINT)
            return f"trial {trial_number} was to go on from it and ends, and another may take its place"
        if trial.refused >= self.spec.max_attempts:
            message = f"its checkpoints could not be used {trial.refused} times; the last time: {reason}"
            self._endings.end(trial, TrialState.FAILED, "checkpoint", message, signature="checkpoint")
            return f"trial {trial_number} fails, as this was the time number {trial.refused}"
        self._state.record(Lost(trial=trial_number, attempt=attempt, reason=reason, blamed=False))
        begin = f"epoch {trial.from_epoch} of trial {trial.parent}" if trial.from_epoch else "its first epoch"
        return f"trial {trial_number} begins again from {begin}"

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

    @property
    def combination(self) -> Combination | None:
        """What the study wants put together for its result, by what is known so far; None: the best snapshot alone."""
        best = self.history.best
        combining = self._state.combining
        return None if combining is None or best is None else combining.combination(best)

    def combined(self, outcome: Combined) -> None:
        """Settle which model is the study's, and tell the user; once in a study's life."""
        self._state.record(outcome)
        self.note(sentence_on(outcome, self.spec.objective.metric))

    def needed_checkpoints(self, trial_number: int) -> set[int]:
        """The epochs of a trial whose checkpoints somebody may still need."""
        history = self.history
        trial = history.trials[trial_number]
        best = history.best, history.best_ended
        children = (history.trials[child] for child in history.children.get(trial_number, ()))
        needed = {child.from_epoch for child in children if not (child.state.is_final or child.has_own_checkpoint)}
        combination = self.combination
        is_part = combination is not None and trial_number in combination.trials
        if not trial.state.is_final or any(trial is one for one in best) or is_part or self.strategy.keeps(trial):
            needed.add(trial.checkpoint_epoch)
        return needed
