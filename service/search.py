"""Search: the whole of a study's decisions, as a state machine without input or output.

It takes what happened (`report`, `checkpointed`, `finish`, `fail`, `lost`, `spend`, `stop`) and says what to do next
(`next`, and the answer of `report`). Every change of state is an event that is applied; the events not yet stored are
handed over by `take_events`. A Search given the stored events back (`Search.restore`) stands where the lost one stood
and decides what it would have decided. It knows no Ray, no Keras, no database and no clock.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from service.combination import Combination, sentence_on
from service.events import (
    Action,
    Checkpointed,
    Combined,
    Decided,
    Ended,
    Event,
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
    TrialState,
)
from service.history import History, Trial
from service.strategies import Strategy, make_strategy
from service.strategies.randomness import trial_seed
from service.strategies.strategy import CombiningPolicy, Judgement, Promotion, Proposal, Retirement, Situation, Step
from service.study import StudySpec

__all__ = ["Assignment", "Search", "StaleAttemptError", "Verdict"]


class StaleAttemptError(Exception):
    """A worker spoke of an attempt that is not the trial's current one; it should drop the trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Train trial `trial` with `params`, from the checkpoint at `from_epoch`, up to `until_epoch`, then ask."""

    trial: int
    attempt: int
    params: Mapping[str, Any]
    seed: int
    from_epoch: int  # 0: from fresh weights
    until_epoch: int
    checkpoint_of: int | None = None  # the trial whose checkpoint at from_epoch it begins from; None: fresh weights
    weights: str = "last"  # of a parent's checkpoint; see event `Proposed`
    first_epoch: int = 1  # of the trial's own epochs
    learning_rates: tuple[float, ...] = ()  # of the trial's own epochs, from `first_epoch`; empty: as the builder says


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer to a report. With CONTINUE the trial trains on to `until_epoch`, then asks again."""

    action: Action
    until_epoch: int
    keep_epoch: int = 0  # with STOP: the trial is the best so far, and its model with this epoch's weights is wanted
    keep_end: bool = False  # with STOP: a checkpoint of its last epoch is wanted


_COMPLETES = ("max_epochs", "early_stopping", "budget")
"""Reasons to stop that do not judge a trial."""


class Search:
    """All decisions of one study, made on its `history`.

    A trial is proposed, started by an attempt, measured once per epoch, decided at the epochs where it asks, and ended
    exactly once. Epochs trained again after a loss are answered from what is recorded and count once.
    """

    def __init__(self, spec: StudySpec, strategy: Strategy | None = None):
        self.spec = spec
        self.history = History(spec)
        self._strategy = strategy or make_strategy(spec)
        self._combining = self._strategy if isinstance(self._strategy, CombiningPolicy) else None
        self._exhausted = False  # the strategy had nothing to do for a free worker, and nothing has happened since
        self._stopping = False
        self._outbox: list[Event] = []

    @classmethod
    def restore(cls, spec: StudySpec, events: Iterable[Event], strategy: Strategy | None = None) -> Search:
        """The Search that these stored events lead to. Trials that were running still are: call `lost` on each."""
        search = cls(spec, strategy)
        for event in events:
            search._apply(event)
        return search

    # -- what to do next --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Record what the user should know before the first trial. Once per study."""
        for message in self._strategy.notices():
            self._record(Noticed(message=message))

    def reopen(self) -> None:
        """Let a study that failed go on, with what is left of its budget."""
        if self.history.ended is not None:
            self._record(Reopened())

    def note(self, message: str) -> None:
        """Tell the user something about how the study was run."""
        self._record(Noticed(message=message))

    def next(self, preferred: Container[int] = (), worker: str = "") -> Assignment | None:
        """What a free worker should train now, or None: nothing at present, or nothing more (see `done`).

        Args:
            preferred: waiting trials that this worker would rather have than others; no wish keeps it idle.
            worker: its name, for the record; no decision depends on it.
        """
        if self._halting or self.history.ledger.time_is_up:
            return None
        while not self.history.waiting:
            if not self._take_step():
                return None
        waiting = self.history.waiting
        chosen = next((number for number in waiting if number in preferred), next(iter(waiting)))
        trial = self.history.trials[chosen]
        attempt, from_epoch = trial.attempt + 1, trial.checkpoint_epoch
        self._record(Started(trial=trial.number, attempt=attempt, from_epoch=from_epoch, worker=worker))
        source = trial.number if trial.has_own_checkpoint else trial.parent
        return Assignment(
            trial=trial.number,
            attempt=trial.attempt,
            params=trial.params,
            seed=trial_seed(self.spec.seed, trial.number),
            from_epoch=trial.checkpoint_epoch,
            until_epoch=trial.granted,
            checkpoint_of=source if trial.checkpoint_epoch else None,
            weights=trial.weights,
            first_epoch=trial.from_epoch + 1,
            learning_rates=trial.learning_rates,
        )

    def _take_step(self) -> bool:
        """Do the next thing that the strategy wants, if there is one and the budget has room for it."""
        if self._exhausted or self.history.ledger.epochs_left <= 0:
            return False
        step = self._strategy.step(self._situation)
        if step is None:
            self._exhausted = True
            return False
        self._take(step)
        return True

    def _take(self, step: Step) -> int:
        """Do a step; returns the number of the trial it is about."""
        if isinstance(step, Proposal):
            return self._propose(step)
        trial = self.history.trials[step.trial]
        if isinstance(step, Promotion):
            granted = self._granted(trial, trial.epochs)
            self._record(Promoted(trial=trial.number, granted=granted, reason=step.reason))
        else:
            self._end(trial, TrialState.COMPLETE if step.completes else TrialState.PRUNED, step.reason)
        return trial.number

    def wanted(self) -> Step | None:
        """What the strategy would do for a free worker now, for whoever directs the study."""
        if self._halting or self.history.ledger.time_is_up or self.history.ledger.epochs_left <= 0:
            return None
        return self._strategy.step(self._situation)

    def direct(self, step: Step) -> int | None:
        """Do what somebody outside has decided, for a strategy that leaves it to them.

        Args:
            step: about a trial that no worker has.

        Returns:
            The number of the trial it is about; None where nothing may be granted any more.
        """
        ledger = self.history.ledger
        if self._halting or ledger.time_is_up:
            return None
        if not isinstance(step, Retirement) and ledger.epochs_left <= 0:
            return None
        if isinstance(step, Proposal) and step.parent is None and not ledger.room_for_new_trial:
            return None
        return self._take(step)

    @property
    def _situation(self) -> Situation:
        history = self.history
        return Situation(
            number=len(history.trials),
            may_propose=history.ledger.room_for_new_trial > 0,
            idle=not history.running,
        )

    def _propose(self, proposal: Proposal) -> int:
        """Make a new trial; returns its number."""
        number = len(self.history.trials)
        draft = Trial(
            number=number,
            params=proposal.params,
            bracket=proposal.bracket,
            granted=0,
            parent=proposal.parent,
            from_epoch=proposal.from_epoch,
            learning_rates=proposal.learning_rates,
        )
        self._record(
            Proposed(
                trial=number,
                params=proposal.params,
                bracket=proposal.bracket,
                granted=self._granted(draft, proposal.from_epoch),
                parent=proposal.parent,
                from_epoch=proposal.from_epoch,
                weights=proposal.weights,
                learning_rates=proposal.learning_rates,
                origin=proposal.origin,
            )
        )
        return number

    def _granted(self, trial: Trial, after_epoch: int) -> int:
        """Up to which epoch a trial may train on: to where it asks next, or as far as the budget goes."""
        return min(self._strategy.next_ask(trial, after_epoch), after_epoch + self.history.ledger.epochs_left)

    @property
    def _halting(self) -> bool:
        return self._stopping or self.history.ended is not None

    @property
    def done(self) -> bool:
        """Whether no worker is busy and none will be needed, as far as the last `next` could tell."""
        history = self.history
        if history.running:
            return False
        if self._halting or history.ledger.time_is_up:
            return True
        if history.waiting or history.ledger.room_for_new_trial > 0:
            return not history.waiting and self._exhausted
        return history.ledger.epochs_left <= 0 or self._strategy.step(self._situation) is None

    # -- what happened ----------------------------------------------------------------------------------------------

    def report(
        self,
        trial_number: int,
        attempt: int,
        epoch: int,
        metrics: Mapping[str, float],
        *,
        seconds: float | None = None,
        learning_rate: float | None = None,
        ended: str = "",
    ) -> Verdict:
        """An epoch has ended.

        Args:
            trial_number: the trial.
            attempt: which attempt of it speaks.
            epoch: counted from 1; epochs come in order, those recorded by an earlier attempt may come again.
            metrics: all of the epoch's logs.
            seconds: duration of the epoch, validation included.
            learning_rate: the optimizer's, at the end of the epoch.
            ended: why the training ended by itself, if it did: `early_stopping` for the user's own callbacks, `budget`
                at a deadline. Such a report may repeat the latest epoch.

        Raises:
            StaleAttemptError: another attempt has the trial now.
            ValueError: an epoch was skipped.
        """
        trial = self._current(trial_number, attempt)
        if epoch > trial.epochs + 1:
            raise ValueError(f"epochs must come in order; trial {trial_number} has {trial.epochs}, got {epoch}")
        if epoch < trial.epochs and not ended:  # trained again after a loss: it was answered then
            return Verdict(action=Action.PAUSE if self._halting else Action.CONTINUE, until_epoch=trial.granted)
        new = epoch > trial.epochs
        if new:
            measured = Measured(
                trial=trial_number,
                attempt=attempt,
                epoch=epoch,
                value=metrics.get(self.spec.objective.metric),
                metrics=dict(metrics),
                seconds=seconds,
                learning_rate=learning_rate,
            )
            self._record(measured)
        if trial.action is not Action.STOP:
            self._decide(trial, metrics if new else None, ended)
        keep_epoch, keep_end = 0, False
        if trial.action is Action.STOP and trial.completes:
            keep_end = self._combining is not None and self._combining.keeps_end(trial)
            if self.history.would_be_best(trial):
                keep_epoch = trial.best_epoch if self.spec.objective.epoch == "best" else trial.epochs
        return Verdict(
            action=trial.action or Action.CONTINUE,
            until_epoch=trial.granted,
            keep_epoch=keep_epoch,
            keep_end=keep_end,
        )

    def checkpointed(self, trial_number: int, attempt: int, epoch: int, uri: str) -> None:
        """A durable checkpoint of the trial exists at this epoch.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        trial = self._current(trial_number, attempt)
        if epoch > trial.checkpoint_epoch:
            self._record(Checkpointed(trial=trial_number, attempt=attempt, epoch=epoch, uri=uri))

    def finish(self, trial_number: int, attempt: int, reason: str = "early_stopping") -> None:
        """The worker is done with a trial.

        Args:
            trial_number: the trial.
            attempt: which attempt of it speaks.
            reason: why it ended where it was not told to stop, such as `budget` at a deadline.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        trial = self._current(trial_number, attempt)
        if trial.action is Action.STOP:
            self._end_as_decided(trial)
        else:
            self._end_unjudged(trial, reason)

    def paused(self, trial_number: int, attempt: int) -> None:
        """The worker gave the trial back; it goes on from its checkpoint when it is given out again.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        self._current(trial_number, attempt)
        self._record(Paused(trial=trial_number, attempt=attempt))

    def fail(
        self, trial_number: int, attempt: int, kind: str, message: str, *, signature: str = "", detail: str = ""
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
        trial = self._current(trial_number, attempt)
        self._end(trial, TrialState.FAILED, kind, message, signature=signature or kind, detail=detail)

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
        self._record(Lost(trial=trial_number, attempt=attempt, reason=reason, blamed=blamed))
        if trial.action is Action.STOP and not trial.completes:
            self._end_as_decided(trial)  # nothing more is wanted of it
        elif trial.lost >= self.spec.max_attempts:
            message = f"its worker died {trial.lost} times; the last time: {reason}"
            self._end(trial, TrialState.FAILED, "worker_died", message, signature="worker_died")

    def spend(self, *, wall_seconds: float, gpu_seconds: float = 0.0) -> None:
        """Time has passed since the last call."""
        self._record(Spent(wall_seconds=wall_seconds, gpu_seconds=gpu_seconds))

    def stop(self) -> None:
        """Give out nothing more; trials under way pause at their next report. Not stored: the study can go on later."""
        self._stopping = True

    def conclude(self) -> StudyEnded | None:
        """End the study if it is done and nobody stopped it. Trials that still wait end with the budget."""
        if not self.done or self._halting:
            return self.history.ended
        out_of_ideas = self._exhausted and self.history.ledger.room_for_new_trial > 0
        for number in list(self.history.waiting):
            trial = self.history.trials[number]
            if trial.action is Action.STOP:
                self._end_as_decided(trial)
            else:
                self._end_unjudged(trial, "budget")
        for number in list(self.history.paused):
            self._take(self._strategy.at_end(self.history.trials[number]))
        if self.history.ended is None:
            failed = self.history.best is None
            reason = "the budget is used"
            if failed:
                cut = any(trial.reason == "budget" for trial in self.history.trials) or not self.history.trials
                reason = "the budget was used before any trial had a value" if cut else "every trial failed"
            elif out_of_ideas:
                reason = self._strategy.exhausted
            self._record(StudyEnded(failed=failed, reason=reason))
        return self.history.ended

    def take_events(self) -> list[Event]:
        """The events since the last call, oldest first. Store them before anyone is told what they led to."""
        events, self._outbox = self._outbox, []
        return events

    @property
    def combination(self) -> Combination | None:
        """What the study wants put together for its result, by what is known so far; None: the best snapshot alone."""
        best = self.history.best
        return None if self._combining is None or best is None else self._combining.combination(best)

    def combined(self, outcome: Combined) -> None:
        """Settle which model is the study's, and tell the user; once in a study's life."""
        self._record(outcome)
        self.note(sentence_on(outcome, self.spec.objective.metric))

    def needed_checkpoints(self, trial_number: int) -> set[int]:
        """The epochs of a trial whose checkpoints somebody may still need."""
        history = self.history
        trial = history.trials[trial_number]
        best = history.best
        children = (history.trials[child] for child in history.children.get(trial_number, ()))
        needed = {child.from_epoch for child in children if not (child.state.is_final or child.has_own_checkpoint)}
        combination = self.combination
        is_part = combination is not None and trial_number in combination.trials
        if not trial.state.is_final or trial is best or is_part or self._strategy.keeps(trial):
            needed.add(trial.checkpoint_epoch)
        return needed

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _current(self, trial_number: int, attempt: int) -> Trial:
        trial = self.history.trials[trial_number]
        if trial.state is not TrialState.RUNNING or trial.attempt != attempt:
            raise StaleAttemptError(
                f"trial {trial_number} is {trial.state} in attempt {trial.attempt}; got a word of attempt {attempt}"
            )
        return trial

    def _decide(self, trial: Trial, metrics: Mapping[str, float] | None, ended: str) -> None:
        """Settle what follows the trial's latest epoch; record it where the trial asked or cannot go on."""
        ending = self._reason_to_end(trial, metrics, ended)
        if ending:
            judgement = Judgement(action=Action.STOP, reason=ending, completes=ending in _COMPLETES)
            granted = trial.epochs
        elif trial.epochs >= trial.granted:
            judgement, granted = self._judgement(trial)
        elif self._halting:
            judgement = Judgement(action=Action.PAUSE, reason="the study is being stopped")
            granted = trial.granted
        else:
            return
        self._record(
            Decided(
                trial=trial.number,
                attempt=trial.attempt,
                epoch=trial.epochs,
                action=judgement.action,
                granted=granted,
                reason=judgement.reason,
                completes=judgement.completes,
            )
        )

    def _reason_to_end(self, trial: Trial, metrics: Mapping[str, float] | None, ended: str) -> str:
        """Why the trial cannot go on, whatever the strategy thinks; empty if it can. `metrics`: of a new epoch."""
        if metrics is not None:
            value = metrics.get(self.spec.objective.metric)
            if value is None:
                return "missing_metric"
            if not isfinite(value) or not isfinite(metrics.get("loss", 0.0)):
                return "diverged"
        if trial.epochs >= self.spec.max_epochs:
            return "max_epochs"
        if ended:
            return ended
        return "budget" if self.history.ledger.time_is_up else ""

    def _judgement(self, trial: Trial) -> tuple[Judgement, int]:
        """The strategy's word, and how far the budget lets the trial go."""
        judgement = self._strategy.judge(trial)
        if judgement.action is not Action.CONTINUE:
            return judgement, trial.epochs
        granted = self._granted(trial, trial.epochs)
        if granted <= trial.epochs:
            return Judgement(action=Action.STOP, reason="budget", completes=True), trial.epochs
        if self._halting:
            return Judgement(action=Action.PAUSE, reason=judgement.reason), granted
        return judgement, granted

    def _end_as_decided(self, trial: Trial) -> None:
        """The final state that the last decision means."""
        metric = self.spec.objective.metric
        messages = {
            "diverged": f"the loss or {metric} was not finite in epoch {trial.epochs}",
            "missing_metric": f"epoch {trial.epochs} did not report {metric}",
        }
        if trial.reason in messages:
            message = messages[trial.reason]
            self._end(trial, TrialState.FAILED, trial.reason, message, signature=trial.reason)
        else:
            state = TrialState.COMPLETE if trial.completes else TrialState.PRUNED
            self._end(trial, state, trial.reason)

    def _end_unjudged(self, trial: Trial, reason: str) -> None:
        """The trial stops where it is, for a reason that says nothing of its quality."""
        if trial.best_epoch:
            self._end(trial, TrialState.COMPLETE, reason)
        else:
            self._end(trial, TrialState.FAILED, reason, "it ended before its first epoch did", signature=reason)

    def _end(
        self, trial: Trial, state: TrialState, reason: str, message: str = "", *, signature: str = "", detail: str = ""
    ) -> None:
        number, attempt = trial.number, trial.attempt
        self._record(
            Ended(
                trial=number, attempt=attempt, state=state, reason=reason, message=message, signature=signature,
                detail=detail,
            )
        )  # fmt: skip
        if self.history.ended is None and (fault := self.history.fault):
            self._record(StudyEnded(failed=True, reason=fault))

    # -- applying ---------------------------------------------------------------------------------------------------

    def _record(self, event: Event) -> None:
        self._apply(event)
        self._outbox.append(event)

    def _apply(self, event: Event) -> None:
        """The only way in which anything changes."""
        trial = self.history.apply(event)
        if not isinstance(event, Spent | Noticed | Combined):
            self._exhausted = False
        self._strategy.observe(event, trial)
